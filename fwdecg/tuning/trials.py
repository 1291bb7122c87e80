"""The trials of a search: their folders while it runs, their records afterwards.

trials/00007/trial.json     settings, written before the trial starts
            /checkpoints/   state after the last epoch, including the history of all epochs
            /outcome.json   how the trial ended, and why
A killed search needs only these files to continue.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa

from fwdecg.runtime.cost import Cost
from fwdecg.runtime.storage import Store
from fwdecg.training.checkpoint import EpochRecord, load_history, newest_checkpoint
from fwdecg.tuning.search_space import Settings

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"
OUTCOMES = (FINISHED, STOPPED, FAILED)
UNFINISHED = "unfinished"  # no outcome yet: the trial is running or was interrupted
TRIALS, TRIAL, OUTCOME = "trials", "trial.json", "outcome.json"


@dataclass(frozen=True)
class TrialOutcome:
    """How a trial ended.

    Attributes:
        status: finished (all epochs), stopped (early, by ASHA) or failed.
        reason: cause of a failure, otherwise empty.
    """

    status: str
    reason: str = ""


@dataclass(frozen=True)
class TrialFolders:
    """The folders of a search's trials, by trial number.

    Attributes:
        root: folder of the search, which all nodes see under this path.
    """

    root: Path

    def numbers(self) -> list[int]:
        """Return the numbers of all trials that have a folder."""
        return sorted(int(folder.name) for folder in (self.root / TRIALS).glob("[0-9]*"))

    def folder(self, number: int) -> Path:
        """Return the folder of a trial."""
        return self.root / TRIALS / f"{number:05d}"

    def settings(self, number: int) -> Settings | None:
        """Return the settings of a trial, or None if it does not exist yet."""
        store = self._store(number)
        return store.read_json(TRIAL)["settings"] if store.exists(TRIAL) else None

    def create(self, number: int, settings: Settings) -> None:
        """Create the folder of a new trial."""
        self._store(number).publish_json(TRIAL, {"number": number, "settings": settings})

    def outcome(self, number: int) -> TrialOutcome | None:
        """Return how a trial ended, or None if it has not ended."""
        store = self._store(number)
        return TrialOutcome(**store.read_json(OUTCOME)) if store.exists(OUTCOME) else None

    def record_outcome(self, number: int, outcome: TrialOutcome) -> None:
        """Write how a trial ended."""
        self._store(number).publish_json(OUTCOME, asdict(outcome))

    def history(self, number: int) -> list[EpochRecord]:
        """Return the epochs in a trial's newest checkpoint."""
        checkpoint = newest_checkpoint(self.folder(number))
        return load_history(checkpoint) if checkpoint else []

    def _store(self, number: int) -> Store:
        return Store.at(self.folder(number))


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """The result of one trial.

    Attributes:
        number: trial number, from 0.
        settings: values of the varied keys.
        status: finished, stopped (early), failed or unfinished.
        reason: cause of a failure, otherwise empty.
        parameters: number of the network's parameters; None if it could not be built.
        history: records of the trial's epochs.
    """

    number: int
    settings: Settings
    status: str
    reason: str
    parameters: int | None
    history: tuple[EpochRecord, ...]

    @property
    def usable(self) -> bool:
        """Whether the trial has at least one epoch and did not fail."""
        return self.status != FAILED and bool(self.history)

    @property
    def r2(self) -> list[float]:
        """Validation R^2 after each epoch."""
        return [record.validation_r2 for record in self.history]

    @property
    def best_r2(self) -> float | None:
        """Highest validation R^2 of all epochs."""
        return max(self.r2, default=None)

    @property
    def best_epoch(self) -> int | None:
        """Epoch of the highest validation R^2, from 1."""
        return 1 + self.r2.index(max(self.r2)) if self.history else None

    @property
    def seconds(self) -> float:
        """Total time of all epochs in seconds."""
        return sum(record.seconds for record in self.history)

    @property
    def seconds_per_epoch(self) -> float | None:
        """Median time of an epoch in seconds; other trials may have run on the same node."""
        return median(record.seconds for record in self.history) if self.history else None

    @property
    def cost(self) -> Cost:
        """Total cost of all epochs."""
        return sum((record.cost for record in self.history), Cost())


def pareto_front(trials: Sequence[TrialRecord], cost: str) -> list[TrialRecord]:
    """Return the usable trials that no other trial beats in both cost and R^2, by rising cost.

    Args:
        trials: records of the trials.
        cost: attribute of `TrialRecord`, such as "parameters".
    """
    front: list[TrialRecord] = []
    usable = [trial for trial in trials if trial.usable]
    for trial in sorted(usable, key=lambda t: (getattr(t, cost), -max(t.r2))):
        if not front or max(trial.r2) > max(front[-1].r2):
            front.append(trial)
    return front


def r2_text(r2: float) -> str:
    """Format R^2 with four decimals, or with two digits if it is very low."""
    return f"{r2:.4f}" if r2 > -10 else f"{r2:.2g}"


def trials_table(trials: Sequence[TrialRecord]) -> pa.Table:
    """Return a table with one row per trial: settings, status, R^2 and cost."""
    rows = [_row(trial) for trial in trials]
    return pa.table({name: pa.array([row[name] for row in rows]) for name in rows[0]})


def _row(trial: TrialRecord) -> dict[str, Any]:
    best_epoch = trial.best_epoch
    return {
        "trial": trial.number,
        "status": trial.status,
        "reason": trial.reason,
        **trial.settings,
        "epochs": len(trial.history),
        "best_validation_r2": trial.best_r2,
        "best_epoch": best_epoch,
        "best_validation_mae": trial.history[best_epoch - 1].validation_mae if best_epoch else None,
        "parameters": trial.parameters,
        "seconds": trial.seconds,
        "seconds_per_epoch": trial.seconds_per_epoch,
        **asdict(trial.cost),
        "validation_r2": trial.r2,
    }
