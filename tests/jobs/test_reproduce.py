"""The main job from end to end, on a library of minutes made seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

JOBS = Path(__file__).parents[2] / "jobs"
PRESET = """
[library]
cases = 20
cases_per_part = 5
[library.tissue]
size_mm = 10.0
large_patch_size_mm = [1.0, 2.0]
[library.solver]
spacing_mm = 0.25
dt_ms = 0.05
[library.recording]
duration_ms = 50.0
map_pixels = 8
electrodes_mm = [[5.0, 5.0, 5.0]]
least_activated_fraction = 0.1
[model]
hidden_size = 8
channels = [2, 4]
[training]
epochs = 3
workers = 0
mirror = true
"""


def run(job, *arguments):
    command = [sys.executable, str(JOBS / f"{job}.py"), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_main_job_and_then_predictions(tmp_path):
    preset, results = tmp_path / "preset.toml", tmp_path / "results"
    preset.write_text(PRESET)
    said = run("reproduce", preset, "--set", f"results.path={results}")
    for name in ("network", "healthy", "gap_junction", "fibrosis", "combined", str(results)):
        assert name in said
    metrics = json.loads((results / "metrics.json").read_text())
    assert metrics["library"]["counts"]["ok"]["test"]["all"] == 1
    assert metrics["training"]["epochs"] == 3
    assert list((results / "evaluation/figures").glob("*.png"))
    again = run("reproduce", preset, "--set", f"results.path={results}")
    for stage in ("built", "trained", "evaluated"):
        assert f"is {stage} already" in again
    ecg = tmp_path / "ecg.parquet"
    run("predict", results / "training/best.pt", results / "library", ecg)
    table = pq.read_table(ecg)
    assert table["case_id"].to_pylist() == list(range(20))
    assert table["phi_e"].type.shape == [1, 10]
    assert json.loads((tmp_path / "ecg.metrics.json").read_text())["cases"] == 20
