"""The job reproduce from end to end, followed by predictions and an export."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fwdecg.training.trained_surrogate import load_surrogate

JOBS = Path(__file__).parents[2] / "jobs"


@pytest.fixture
def run(run_python, ray_address):
    """Return a function that runs a job on the tests' cluster and returns its output."""

    def run(job, *arguments):
        return run_python(JOBS / f"{job}.py", *arguments, RAY_ADDRESS=ray_address).stdout

    return run


def written_at(results, *files):
    """Return the modification time of JSON files, which only unfinished stages write."""
    return {file: (results / f"{file}.json").stat().st_mtime_ns for file in files}


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_all_stages_then_predictions_and_export(small_preset, run, run_script, tmp_path):
    results = tmp_path / "results"
    job = ["reproduce", small_preset, "--set", f"results.path={results}"]
    job += ["--set", "training.workers=0", "--set", "training.epochs=3"]
    output = run(*job)
    for name in ("network", "healthy", "gap_junction", "fibrosis", "combined", str(results)):
        assert name in output
    metrics = json.loads((results / "metrics.json").read_text())
    assert metrics["library"]["counts"]["ok"]["test"]["all"] == 1
    assert metrics["training"]["epochs"] == 3
    parts = [metrics["library"]["cost"]["last_run"]]
    parts += [metrics[stage]["cost"] for stage in ("training", "evaluation")]
    assert all(part["core_seconds"] > 0 for part in parts)
    total = metrics["cost"]
    assert total["core_seconds"] == pytest.approx(sum(part["core_seconds"] for part in parts))
    assert total["peak_memory_bytes"] == max(part["peak_memory_bytes"] for part in parts)
    stages = [line.split()[0] for line in output.splitlines() if "core-seconds" in line]
    assert stages == ["library", "training", "evaluation", "all"]
    assert list((results / "evaluation/figures").glob("*.png"))
    finished = written_at(results, "library/manifest", "training/metrics", "evaluation/metrics")
    run(*job)
    assert written_at(results, *finished) == finished
    ecg = tmp_path / "ecg.parquet"
    best = results / "training/best.safetensors"
    predicted = run_script("predict", best, results / "library", ecg, "--here")
    assert "ECGs of 20 cases in mm/ms, " in predicted.out
    table = pq.read_table(ecg)
    assert table["case_id"].to_pylist() == list(range(20))
    assert table["phi_e"].type.shape == [1, 8]
    assert json.loads((tmp_path / "ecg.metrics.json").read_text())["cases"] == 20
    exported = run_script("export", best)
    assert "surrogate.pt2 differs from the network by at most" in exported.out
    assert (results / "training/export/surrogate.pt2").exists()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_best_trial_of_a_search_is_trained_and_evaluated(small_preset, run, tmp_path):
    results = tmp_path / "results"
    job = ["reproduce", small_preset, "--tune", "--set", f"results.path={results}"]
    job += ["--set", "training.workers=0", "--set", "training.epochs=2"]
    job += ["--set", "tuning.space.model.hidden_size={choice=[4, 8, 12, 16]}"]
    job += ["--set", "tuning.grace_period=2", "--set"]
    output = run(*job, "tuning.trials=2")
    metrics = json.loads((results / "metrics.json").read_text())
    assert list(metrics) == ["library", "tuning", "training", "evaluation", "cost"]
    best = metrics["tuning"]["best"]
    folder = results / f"tuning/best/{best['trial']:05d}"
    assert metrics["training"] == json.loads((folder / "training/metrics.json").read_text())
    assert metrics["evaluation"] == json.loads((folder / "evaluation/metrics.json").read_text())
    network = load_surrogate(folder / "training/best.safetensors")
    assert network.config.hidden_size == best["settings"]["model.hidden_size"]
    stages = [line.split()[0] for line in output.splitlines() if "core-seconds" in line]
    assert stages == ["library", "tuning", "training", "evaluation", "all"]
    assert not (results / "training").exists()
