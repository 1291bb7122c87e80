"""A trial in this process, without Ray."""

import errno
import math
from dataclasses import replace

import pytest
from ray.exceptions import RayActorError

from fwdecg.errors import ResultError, RunError
from fwdecg.runtime import nodes
from fwdecg.runtime.cost import Cost
from fwdecg.runtime.ownership import record_owner
from fwdecg.runtime.storage import Store
from fwdecg.training.split_files import read_splits
from fwdecg.tuning import trial
from fwdecg.tuning.trial import FAILURE, NUMBER, OBJECTIVE, SETTINGS, run_trial
from fwdecg.tuning.trials import FINISHED, TrialOutcome


@pytest.fixture
def reports(context, monkeypatch):
    """The list of what `run_trial` reports in this process, where no Ray runs."""
    sent = []
    splits = read_splits(context.library)
    monkeypatch.setattr(trial.tune, "report", sent.append)
    monkeypatch.setattr(trial, "_get_splits", lambda reference: splits)
    monkeypatch.setattr(trial, "_log_warnings_only", lambda: None)
    record_owner(Store.at(context.folders.root), {})
    return sent


def untimed(report):
    return {key: value for key, value in report.items() if key not in {"seconds", *vars(Cost())}}


def test_interrupted_trial_continues_after_its_last_epoch(context, reports, monkeypatch):
    config = {NUMBER: 0, SETTINGS: {}}
    run_trial(config, context)
    whole = [untimed(report) for report in reports]
    assert [report["epoch"] for report in whole] == [1, 2, 3, 4]

    def fail_after_epoch_2(report):
        reports.append(report)
        if report["epoch"] == 2:
            raise RayActorError

    other, config = replace(context), {NUMBER: 1, SETTINGS: {}}
    with monkeypatch.context() as failing:
        failing.setattr(trial.tune, "report", fail_after_epoch_2)
        with pytest.raises(RayActorError):
            run_trial(config, other)
    before = context.folders.history(1)
    assert len(before) == 2
    reports.clear()
    run_trial(config, other)
    assert [untimed(report) for report in reports] == whole
    assert context.folders.history(1)[:2] == before  # not trained again


def test_ended_trial_only_reports_its_epochs(context, reports):
    config = {NUMBER: 0, SETTINGS: {"training.learning_rate": 2e-3}}
    run_trial(config, context)
    first = list(reports)
    context.folders.record_outcome(0, TrialOutcome(FINISHED))
    reports.clear()
    run_trial(config, context)
    assert reports == first


def test_diverging_trial_reports_its_failure(context, reports):
    # A spectral loss times 10^39 overflows float32: the training diverges in its first epoch.
    run_trial({NUMBER: 0, SETTINGS: {"training.loss.spectral_weight": 1e39}}, context)
    (report,) = reports
    assert math.isnan(report[OBJECTIVE])
    assert report[FAILURE].startswith("the training loss is not finite")


def test_a_trial_checks_that_it_sees_the_folder(context, monkeypatch):
    monkeypatch.setattr(nodes, "VISIBILITY_DELAYS_S", ())
    with pytest.raises(ResultError, match="is not the same folder on all nodes"):
        run_trial({}, context)


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (OSError(errno.ENOSPC, "disk full"), True),
        (RayActorError(), True),
        (PermissionError(), False),
        (RunError("diverged"), False),
        (MemoryError(), False),
    ],
)
def test_retryable_errors(error, retryable):
    assert trial.may_succeed_on_retry(error) is retryable
