import json

from fwdecg.benchmarks.price_benchmark import ALONE, BATCHED, EXACT, SIMULATION, benchmark_prices
from fwdecg.model import SurrogateConfig

MODEL = SurrogateConfig(hidden_size=8, channels=(2, 4), pooled_size=2, readout_size=4)


def test_every_way_has_a_price(small_library, tmp_path):
    benchmark_prices(small_library, MODEL, tmp_path, turns=1)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    prices = metrics["seconds_per_case"]
    assert {SIMULATION, EXACT, ALONE, BATCHED} < set(prices)
    assert all(price > 0 for price in prices.values())
    assert metrics["cases"] == small_library.count("test")
    report = (tmp_path / "report.txt").read_text()
    assert all(name in report for name in prices)
