import json

from fwdecg.benchmarks.price_benchmark import ALONE, BATCHED, EXACT, SIMULATION, benchmark_prices
from fwdecg.model import SurrogateConfig

MODEL = SurrogateConfig(hidden_size=8, channels=(2, 4), pooled_size=2, readout_size=4)


def test_every_method_has_a_positive_time_per_case(small_library, tmp_path):
    benchmark_prices(small_library, MODEL, tmp_path, rounds=1)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    seconds = metrics["seconds_per_case"]
    assert {SIMULATION, EXACT, ALONE, BATCHED} < set(seconds)
    assert all(each > 0 for each in seconds.values())
    assert metrics["cases"] == small_library.count("test")
    report = (tmp_path / "report.txt").read_text()
    assert all(name in report for name in seconds)
