"""Stop trials of a search early by asynchronous successive halving (ASHA).

Ray Tune's `ASHAScheduler` decides which trials stop. This module records each decision in the
trial's folder and logs the progress of the search.
"""

import logging
import time
from collections import Counter
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from fwdecg.errors import ResultError
from fwdecg.evaluation.report import aligned_lines
from fwdecg.runtime.progress import FRACTION_BETWEEN_LINES, duration_text
from fwdecg.runtime.ray_private import trial_failure
from fwdecg.runtime.telemetry import FAILURES, FRACTION_DONE, RETRIES, SWEEP
from fwdecg.tuning.search_space import Settings, short_name, value_text
from fwdecg.tuning.trial import EPOCH, FAILURE, NUMBER, OBJECTIVE, SETTINGS
from fwdecg.tuning.trials import FAILED, FINISHED, STOPPED, TrialFolders, TrialOutcome, r2_text
from fwdecg.tuning.tuning_config import TuningConfig

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_TABLES = 30.0


class SweepScheduler(ASHAScheduler):
    """ASHA by the best validation R^2 so far, which also records how each trial ended."""

    def __init__(self, tuning: TuningConfig, epochs: int, folders: TrialFolders) -> None:
        """Set up the rungs.

        Args:
            tuning: configuration of the search.
            epochs: number of epochs of a trial that is not stopped.
            folders: folders of the trials.
        """
        super().__init__(
            time_attr=EPOCH,
            metric=OBJECTIVE,
            mode="max",
            max_t=epochs,
            grace_period=tuning.grace_period,
            reduction_factor=tuning.reduction_factor,
            brackets=tuning.brackets,
        )
        self._epochs, self._folders = epochs, folders
        self._progress = SweepProgress(folders, trials=tuning.trials, epochs=epochs)
        self._bracket_draws = np.random.RandomState(tuning.seed).get_state()

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Put a trial into a bracket that is drawn with `tuning.seed`.

        `ASHAScheduler` draws from NumPy's global generator, whose state is restored afterwards.
        """
        global_state = np.random.get_state()
        np.random.set_state(self._bracket_draws)
        try:
            super().on_trial_add(tune_controller, trial)
        finally:
            self._bracket_draws = np.random.get_state()
            np.random.set_state(global_state)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return whether a trial continues.

        A trial that ended in an earlier run reports its recorded epochs again. They fill the rungs
        and cannot stop it.
        """
        if self._folders.outcome(trial.config[NUMBER]) is not None:
            super().on_trial_result(tune_controller, trial, result)
            return TrialScheduler.CONTINUE
        if FAILURE in result:
            self._record_outcome(trial, TrialOutcome(FAILED, result[FAILURE]))
            return TrialScheduler.STOP
        self._progress.record_epoch(trial.config[NUMBER], trial.config[SETTINGS], result)
        decision = super().on_trial_result(tune_controller, trial, result)
        if decision == TrialScheduler.STOP:
            status = FINISHED if result[EPOCH] >= self._epochs else STOPPED
            self._record_outcome(trial, TrialOutcome(status))
        return decision

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Count a retry of a trial whose worker failed, or record its failure if none is left."""
        if trial.should_recover():
            RETRIES.add(SWEEP)
            return
        error = trial_failure(trial)
        if isinstance(error, ResultError):  # a fault of the node: a restart may succeed
            logger.error("trial %d: %s", trial.config[NUMBER], getattr(error, "cause", error))
            return
        reason = (
            "its worker was killed because its node ran low on memory"
            if "low on memory" in str(error)
            else "its worker failed"
        )
        times = f"{trial.num_failures} times" if trial.num_failures > 1 else "once"
        self._record_outcome(trial, TrialOutcome(FAILED, f"{reason}, {times}"))
        super().on_trial_error(tune_controller, trial)

    def _record_outcome(self, trial: Trial, outcome: TrialOutcome) -> None:
        number = trial.config[NUMBER]
        self._folders.record_outcome(number, outcome)
        self._progress.record_end(number, trial.config[SETTINGS], outcome)


class SweepProgress:
    """Log a line for each trial that ends, and from time to time a table of the running trials."""

    def __init__(self, folders: TrialFolders, *, trials: int, epochs: int) -> None:
        """Start the clock and read the trials that ended in an earlier run.

        Args:
            folders: folders of the trials.
            trials: number of trials of the search.
            epochs: number of epochs of a trial that is not stopped.
        """
        self._trials, self._epochs = trials, epochs
        self._statuses: Counter[str] = Counter()
        self._rows: dict[int, list[str]] = {}
        self._best_r2, self._best = -float("inf"), -1
        self._started = self._last_table = time.monotonic()
        for number in folders.numbers():
            outcome = folders.outcome(number)
            if outcome is not None:
                self._statuses[outcome.status] += 1
                for record in folders.history(number):
                    self._update_best(number, record.best_r2)
        if self._statuses:
            logger.info("continuing a search: %s", self._summary())

    def record_epoch(self, number: int, settings: Settings, record: dict[str, Any]) -> None:
        """Record an epoch of a trial, and log the table if it is due."""
        self._update_best(number, record["best_r2"])
        self._rows[number] = [
            str(number),
            f"{record['epoch']}/{self._epochs}",
            r2_text(record["validation_r2"]),
            r2_text(record["best_r2"]),
            *(value_text(value) for value in settings.values()),
        ]
        now = time.monotonic()
        interval_s = max(SECONDS_BETWEEN_TABLES, FRACTION_BETWEEN_LINES * (now - self._started))
        if now - self._last_table >= interval_s:
            self._last_table = now
            head = ["trial", "epoch", "R2", "best", *map(short_name, settings)]
            rows = [self._rows[running] for running in sorted(self._rows)]
            logger.info("%s", "\n  ".join([self._summary(), *aligned_lines([head, *rows])]))

    def record_end(self, number: int, settings: Settings, outcome: TrialOutcome) -> None:
        """Log how a trial ended."""
        self._statuses[outcome.status] += 1
        FRACTION_DONE.set(SWEEP, self._statuses.total() / self._trials)
        if outcome.status == FAILED:
            FAILURES.add(SWEEP)
        row = self._rows.pop(number, None)
        progress = f" after epoch {row[1]}, best R2 {row[3]}" if row else ""
        tried = ", ".join(f"{short_name(key)} {value_text(v)}" for key, v in settings.items())
        reason = f": {outcome.reason}" if outcome.reason else ""
        logger.info("trial %d %s%s (%s)%s", number, outcome.status, progress, tried, reason)

    def _update_best(self, number: int, r2: float) -> None:
        if r2 > self._best_r2:
            self._best_r2, self._best = r2, number

    def _summary(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(self._statuses.items()))
        text = f"{self._statuses.total()} of {self._trials} trials ended"
        text += f" ({counts})" if counts else ""
        text += f", {duration_text(time.monotonic() - self._started)}"
        if self._best >= 0:
            text += f"; best R2 {r2_text(self._best_r2)} (trial {self._best})"
        return text
