"""How submitted jobs end: those that can succeed, on three nodes, and those that cannot."""

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import fwdecg
from fwdecg.benchmarks import start_benchmark
from fwdecg.config import load
from fwdecg.experiment.experiment import Experiment
from fwdecg.library.schema import PHI_E, U, tensor_column

JOBS = Path(__file__).parents[2] / "jobs"
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]


def complaint(job, exit_code):
    """What a job says, in one line, that must fail."""
    ended = job.end()
    assert (ended.status, ended.exit_code) == ("FAILED", exit_code), ended.log
    assert "Traceback" not in ended.log
    (line,) = [line for line in ended.log.splitlines() if line.startswith("error: ")]
    return line


def test_bad_input(head, small_preset, tmp_path):
    job = head.submit("build_library", small_preset, f"results.path={tmp_path}", "library.cases=0")
    assert complaint(job, exit_code=2).startswith("error: library.cases = 0: must be at least 1")
    assert not (tmp_path / "library").exists()


def test_what_a_submission_takes(head, monkeypatch):
    """As `benchmark.py start` measures it."""
    command = head.ray("job", "submit")
    address = command[command.index("--address") + 1]
    monkeypatch.setattr(start_benchmark, "_cluster", lambda: nullcontext(address))
    found = start_benchmark._time_submissions(JOBS, turns=1)
    assert list(found) == [
        "ray job submit of an empty program",
        "ray job submit of train.py --help",
    ]
    for start in found.values():
        assert 0.1 < start.core_seconds < 60
        assert 0.5 < start.seconds < 60


def test_work_that_fails(head, small_preset, without_ray, tmp_path):
    settings = (f"results.path={tmp_path}", "training.workers=0")
    without_ray(load(Experiment, small_preset, settings).library, tmp_path / "library")
    hopeless = "training.loss.spectral_weight=1e39"
    job = head.submit("train", small_preset, *settings, hopeless)
    assert "the training loss is not finite; lower" in complaint(job, exit_code=1)


def test_from_a_library_to_its_predictions(cluster, small_preset, tmp_path):
    settings = (f"results.path={tmp_path}", "training.epochs=2")
    cluster.submit("reproduce", small_preset, *settings).end_well()
    evaluated = json.loads((tmp_path / "evaluation/metrics.json").read_text())["predictors"]
    assert "is built already" in cluster.submit("reproduce", small_preset, *settings).end_well()

    again = f"evaluation.path={tmp_path / 'again'}"
    cluster.submit("evaluate", small_preset, *settings, again).end_well()
    assert json.loads((tmp_path / "again/metrics.json").read_text())["predictors"] == evaluated

    study = ("ablation.seeds=[4]", 'ablation.variants=["one: model.hidden_size=1"]')
    cluster.submit("ablate", small_preset, *settings, *study).end_well()
    scored = pq.read_table(tmp_path / "ablation/cases.parquet", columns=["variant"])
    tests = evaluated["network"]["summaries"]["all"]["cases"]
    assert sorted(scored["variant"].to_pylist()) == ["full"] * tests + ["one"] * tests

    best, file = tmp_path / "training/best.safetensors", tmp_path / "ecg.parquet"
    cluster.start("predict", best, tmp_path / "library", file).end_well()
    cases = fwdecg.open_library(tmp_path / "library").table("all", [U])
    expected = fwdecg.load_surrogate(best).predict(tensor_column(cases, U))
    found = tensor_column(pq.read_table(file), PHI_E)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.ptp(expected))
