"""The main job from end to end, on a library of minutes made seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

JOBS = Path(__file__).parents[2] / "jobs"


def run(job, *arguments):
    command = [sys.executable, str(JOBS / f"{job}.py"), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_main_job_and_then_predictions(small_preset, tmp_path):
    results = tmp_path / "results"
    job = ["reproduce", small_preset, "--set", f"results.path={results}"]
    job += ["--set", "training.workers=0", "--set", "training.epochs=3"]
    said = run(*job)
    for name in ("network", "healthy", "gap_junction", "fibrosis", "combined", str(results)):
        assert name in said
    metrics = json.loads((results / "metrics.json").read_text())
    assert metrics["library"]["counts"]["ok"]["test"]["all"] == 1
    assert metrics["training"]["epochs"] == 3
    parts = [metrics["library"]["cost"]["last_run"]]
    parts += [metrics[stage]["cost"] for stage in ("training", "evaluation")]
    assert all(part["core_seconds"] > 0 for part in parts)
    total = metrics["cost"]
    assert total["core_seconds"] == pytest.approx(sum(part["core_seconds"] for part in parts))
    assert total["peak_memory_bytes"] == max(part["peak_memory_bytes"] for part in parts)
    shown = [line.split()[0] for line in said.splitlines() if "core-seconds" in line]
    assert shown == ["library", "training", "evaluation", "all"]
    assert list((results / "evaluation/figures").glob("*.png"))
    again = run(*job)
    for stage in ("built", "trained", "evaluated"):
        assert f"is {stage} already" in again
    ecg = tmp_path / "ecg.parquet"
    best = results / "training/best.safetensors"
    run("predict", best, results / "library", ecg)
    table = pq.read_table(ecg)
    assert table["case_id"].to_pylist() == list(range(20))
    assert table["phi_e"].type.shape == [1, 8]
    assert json.loads((tmp_path / "ecg.metrics.json").read_text())["cases"] == 20
    here = tmp_path / "here.parquet"
    said = run(
        "predict", results / "training/best.safetensors", results / "library", here, "--here"
    )
    assert "ECGs of 20 cases in mm/ms, " in said
    assert pq.read_table(here)["case_id"].to_pylist() == list(range(20))
    said = run("export", best)
    assert "surrogate.pt2 differs from the network by at most" in said
    assert (results / "training/export/surrogate.pt2").exists()
