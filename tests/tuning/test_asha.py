"""Decisions of the scheduler, without Ray Tune's controller."""

from unittest.mock import Mock

import numpy as np
import pytest
from ray import cloudpickle
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from fwdecg.errors import ResultError
from fwdecg.tuning.asha import SweepScheduler
from fwdecg.tuning.trial import EPOCH, FAILURE, NUMBER, OBJECTIVE, SETTINGS
from fwdecg.tuning.trials import FAILED, FINISHED, STOPPED, TrialOutcome

CONTINUE, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP
EPOCHS = 4


@pytest.fixture
def scheduler(tuning_config, folders):
    return SweepScheduler(tuning_config(reduction_factor=2.0), EPOCHS, folders)


def tune_trial(number, **attributes):
    """A trial as Ray Tune passes it to a scheduler."""
    return Mock(
        spec=Trial, trial_id=str(number), config={NUMBER: number, SETTINGS: {}}, **attributes
    )


def report(scheduler, number, r2, epoch=1):
    result = {EPOCH: epoch, OBJECTIVE: r2, "best_r2": r2, "validation_r2": r2}
    return scheduler.on_trial_result(None, tune_trial(number), result)


def test_worse_half_of_the_trials_at_a_rung_is_stopped(scheduler, folders):
    for number in range(3):
        scheduler.on_trial_add(None, tune_trial(number))
    assert report(scheduler, 0, 0.5) == CONTINUE  # nothing to compare it with
    assert report(scheduler, 1, 0.4) == STOP
    assert report(scheduler, 2, 0.6) == CONTINUE
    assert folders.outcome(1) == TrialOutcome(STOPPED)
    assert report(scheduler, 2, 0.6, epoch=EPOCHS) == STOP
    assert folders.outcome(2) == TrialOutcome(FINISHED)
    assert folders.outcome(0) is None


def test_trial_of_an_earlier_run_fills_the_rungs(scheduler, folders):
    folders.record_outcome(0, TrialOutcome(FINISHED))
    for number in range(2):
        scheduler.on_trial_add(None, tune_trial(number))
    assert report(scheduler, 0, 0.5) == CONTINUE
    assert report(scheduler, 0, 0.5, epoch=EPOCHS) == CONTINUE  # it ends by itself
    assert report(scheduler, 1, 0.4) == STOP


def test_reported_failure_ends_the_trial(scheduler, folders, caplog):
    caplog.set_level("INFO")
    result = {EPOCH: 0, OBJECTIVE: float("nan"), FAILURE: "the loss is not finite"}
    assert scheduler.on_trial_result(None, tune_trial(0), result) == STOP
    assert folders.outcome(0) == TrialOutcome(FAILED, "the loss is not finite")
    assert "trial 0 failed" in caplog.text
    assert "the loss is not finite" in caplog.text


@pytest.mark.parametrize(
    ("text", "failures", "reason"),
    [
        ("worker died", 2, "its worker failed, 2 times"),
        ("the node running low on memory", 1, "its worker was killed because its node ran low"),
    ],
)
def test_failed_worker_without_retries_left(scheduler, folders, tmp_path, text, failures, reason):
    file = tmp_path / "error.txt"
    file.write_text(text)
    failed = tune_trial(0, error_file=str(file), pickled_error_file=None, num_failures=failures)
    failed.should_recover.return_value = True
    scheduler.on_trial_error(None, failed)
    assert folders.outcome(0) is None  # Ray Tune starts it again
    failed.should_recover.return_value = False
    scheduler.on_trial_error(None, failed)
    outcome = folders.outcome(0)
    assert outcome.status == FAILED
    assert outcome.reason.startswith(reason)


def test_node_that_does_not_see_the_folder_costs_no_trial(scheduler, folders, tmp_path, caplog):
    file = tmp_path / "error.pkl"
    file.write_bytes(cloudpickle.dumps(ResultError("not the same folder on all nodes")))
    failed = tune_trial(1, error_file=None, pickled_error_file=str(file), num_failures=2)
    failed.should_recover.return_value = False
    scheduler.on_trial_error(None, failed)
    assert "trial 1: not the same folder on all nodes" in caplog.text
    assert folders.outcome(1) is None


def test_brackets_depend_on_the_seed_and_leave_the_global_generator_alone(tuning_config, folders):
    def brackets(seed):
        tuning = tuning_config(brackets=2, reduction_factor=2.0, seed=seed)
        scheduler = SweepScheduler(tuning, EPOCHS, folders)
        for number in range(30):
            scheduler.on_trial_add(None, tune_trial(number))
        chosen = (scheduler._trial_info[str(number)] for number in range(30))
        return [scheduler._brackets.index(bracket) for bracket in chosen]

    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    first = brackets(1)
    assert np.random.random() == expected
    assert brackets(1) == first
    assert brackets(2) != first
    assert set(first) == {0, 1}
