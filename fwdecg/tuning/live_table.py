"""What a running search says: a line for each trial that ends, and now and then a table."""

import logging
import time
from typing import Any

from fwdecg.evaluation.text_table import aligned
from fwdecg.runtime.progress import FRACTION_BETWEEN_LINES, duration_text
from fwdecg.runtime.telemetry import FAILURES, FRACTION_DONE, SWEEP
from fwdecg.tuning.search_space import Settings
from fwdecg.tuning.settings_text import r2_text, settings_text, short_name, value_text
from fwdecg.tuning.trials import FAILED, TrialFolders, TrialOutcome

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_TABLES = 30.0


class SweepProgress:
    """Logs how far the trials are."""

    def __init__(self, folders: TrialFolders, *, trials: int, epochs: int) -> None:
        """Start the clock.

        Args:
            folders: of the trials, of which some may have ended in an earlier run.
            trials: how many there will be.
            epochs: of each that is not stopped.
        """
        self._trials, self._epochs = trials, epochs
        self._statuses: list[str] = []
        self._rows: dict[int, list[str]] = {}
        self._best_r2, self._best = -float("inf"), -1
        self._started = self._last_table = time.monotonic()
        for number in folders.numbers():
            outcome = folders.outcome(number)
            if outcome is not None:
                self._statuses.append(outcome.status)
                for record in folders.history(number):
                    self._notice(number, record.best_r2)
        if self._statuses:
            logger.info("going on with a search: %s", self._summary())

    def epoch(self, number: int, settings: Settings, record: dict[str, Any]) -> None:
        """Take notice of an epoch of a trial; log the table if it is due."""
        self._notice(number, record["best_r2"])
        self._rows[number] = [
            str(number),
            f"{record['epoch']}/{self._epochs}",
            r2_text(record["validation_r2"]),
            r2_text(record["best_r2"]),
            *(value_text(value) for value in settings.values()),
        ]
        now = time.monotonic()
        pause_s = max(SECONDS_BETWEEN_TABLES, FRACTION_BETWEEN_LINES * (now - self._started))
        if now - self._last_table >= pause_s:
            self._last_table = now
            head = ["trial", "epoch", "R2", "best", *map(short_name, settings)]
            rows = [self._rows[running] for running in sorted(self._rows)]
            logger.info("%s", "\n  ".join([self._summary(), *aligned([head, *rows])]))

    def end(self, number: int, settings: Settings, outcome: TrialOutcome) -> None:
        """Log how a trial ended."""
        self._statuses.append(outcome.status)
        FRACTION_DONE.set(SWEEP, len(self._statuses) / self._trials)
        if outcome.status == FAILED:
            FAILURES.add(SWEEP)
        row = self._rows.pop(number, None)
        came = f" after epoch {row[1]}, best R2 {row[3]}" if row else ""
        why = f": {outcome.reason}" if outcome.status == FAILED else ""
        said = f"trial {number} {outcome.status}{came} ({settings_text(settings)}){why}"
        logger.info("%s", said)

    def _notice(self, number: int, best_r2: float) -> None:
        if best_r2 > self._best_r2:
            self._best_r2, self._best = best_r2, number

    def _summary(self) -> str:
        counts = ", ".join(
            f"{self._statuses.count(status)} {status}" for status in sorted(set(self._statuses))
        )
        leader = f"; best R2 {r2_text(self._best_r2)} (trial {self._best})"
        return (
            f"{len(self._statuses)} of {self._trials} trials ended"
            + (f" ({counts})" if counts else "")
            + f", {duration_text(time.monotonic() - self._started)}"
            + (leader if self._best >= 0 else "")
        )
