"""How submitted jobs end: the whole chain on three nodes, bad input, and work that fails."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

import fwdecg
from fwdecg.config import load
from fwdecg.experiment.experiment import Experiment
from fwdecg.library.schema import PHI_E, U, tensor_column

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]


def error_line(job, exit_code):
    """Wait for a job that must fail and return its only error line."""
    result = job.wait()
    assert (result.status, result.exit_code) == ("FAILED", exit_code), result.log
    assert "Traceback" not in result.log
    (line,) = [line for line in result.log.splitlines() if line.startswith("error: ")]
    return line


def test_bad_input(head, small_preset, tmp_path):
    job = head.submit("build_library", small_preset, f"results.path={tmp_path}", "library.cases=0")
    assert error_line(job, exit_code=2).startswith("error: library.cases = 0: must be at least 1")
    assert not (tmp_path / "library").exists()


def test_work_that_fails(head, small_preset, without_ray, tmp_path):
    settings = (f"results.path={tmp_path}", "training.workers=0")
    without_ray(load(Experiment, small_preset, settings).library, tmp_path / "library")
    diverging = "training.loss.spectral_weight=1e39"
    job = head.submit("train", small_preset, *settings, diverging)
    assert "the training loss is not finite; lower" in error_line(job, exit_code=1)


def test_from_a_library_to_its_predictions(cluster, small_preset, tmp_path):
    settings = (f"results.path={tmp_path}", "training.epochs=2")
    cluster.submit("reproduce", small_preset, *settings).wait_for_success()
    evaluated = json.loads((tmp_path / "evaluation/metrics.json").read_text())["predictors"]
    ablation = ("ablation.seeds=[4]", 'ablation.variants=["one: model.hidden_size=1"]')
    cluster.submit("ablate", small_preset, *settings, *ablation).wait_for_success()
    scored = pq.read_table(tmp_path / "ablation/cases.parquet", columns=["variant"])
    tests = evaluated["network"]["summaries"]["all"]["cases"]
    assert sorted(scored["variant"].to_pylist()) == ["full"] * tests + ["one"] * tests

    best, file = tmp_path / "training/best.safetensors", tmp_path / "ecg.parquet"
    cluster.start("predict", best, tmp_path / "library", file).wait_for_success()
    cases = fwdecg.open_library(tmp_path / "library").table("all", [U])
    expected = fwdecg.load_surrogate(best).predict(tensor_column(cases, U))
    found = tensor_column(pq.read_table(file), PHI_E)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.ptp(expected))
