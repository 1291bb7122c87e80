"""How jobs end that were submitted and cannot succeed."""

import pytest

from fwdecg.config import load
from fwdecg.studies.experiment import Experiment

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


def test_work_that_fails(head, small_preset, without_ray, tmp_path):
    settings = (f"results.path={tmp_path}", "training.workers=0")
    without_ray(load(Experiment, small_preset, settings).library, tmp_path / "library")
    hopeless = "training.loss.spectral_weight=1e39"
    job = head.submit("train", small_preset, *settings, hopeless)
    assert "the training loss is not finite; lower" in complaint(job, exit_code=1)
