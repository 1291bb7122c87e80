"""What is known of a search's trials afterwards, and which are worth their cost."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import pyarrow as pa

from fwdecg.runtime.cost import Cost
from fwdecg.training.run import EpochRecord
from fwdecg.training.training_plan import Plan
from fwdecg.tuning.search_space import Settings
from fwdecg.tuning.trial_folders import FAILED, UNFINISHED, TrialFolders


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial.

    Attributes:
        number: of the trial, from 0.
        settings: what it tried.
        status: finished, stopped (early), failed, or unfinished.
        reason: of a failure.
        parameters: of its network; None if it could not be built.
        history: of its epochs.
    """

    number: int
    settings: Settings
    status: str
    reason: str
    parameters: int | None
    history: tuple[EpochRecord, ...]

    @property
    def usable(self) -> bool:
        """True if it has a result and did not fail."""
        return self.status != FAILED and bool(self.history)

    @property
    def best_r2(self) -> float | None:
        """The highest validation R^2 of its epochs."""
        return self.history[-1].best_r2 if self.history else None

    @property
    def best_epoch(self) -> int | None:
        """The epoch of that."""
        r2 = [record.validation_r2 for record in self.history]
        return 1 + r2.index(max(r2)) if r2 else None

    @property
    def seconds(self) -> float:
        """Time spent in its epochs."""
        return sum(record.seconds for record in self.history)

    @property
    def seconds_per_epoch(self) -> float | None:
        """Median time of an epoch, beside the trials that ran at the time."""
        return median(record.seconds for record in self.history) if self.history else None

    @property
    def cost(self) -> Cost:
        """Of its epochs."""
        return sum((record.cost for record in self.history), Cost())

    def r2_after(self, epochs: int) -> float | None:
        """The highest validation R^2 of its first epochs, if it had so many."""
        return self.history[epochs - 1].best_r2 if len(self.history) >= epochs else None


def read_trials(folders: TrialFolders, plans: dict[int, Plan | None]) -> list[TrialRecord]:
    """The trials by number.

    Args:
        folders: of the trials.
        plans: of each trial; None where the settings do not go together.
    """
    return [_read_trial(folders, number, plan) for number, plan in plans.items()]


def _read_trial(folders: TrialFolders, number: int, plan: Plan | None) -> TrialRecord:
    outcome = folders.outcome(number)
    return TrialRecord(
        number=number,
        settings=folders.settings(number) or {},
        status=outcome.status if outcome else UNFINISHED,
        reason=outcome.reason if outcome else "",
        parameters=_parameters(plan) if plan else None,
        history=tuple(folders.history(number)),
    )


def _parameters(plan: Plan) -> int:
    surrogate = plan.model.build(
        electrodes=len(plan.signature.electrodes_mm), standardisation=plan.standardisation
    )
    return sum(parameter.numel() for parameter in surrogate.parameters())


def best_trial(trials: Sequence[TrialRecord]) -> TrialRecord | None:
    """The usable trial with the highest validation R^2, the first of equals."""
    return max((t for t in trials if t.usable), key=lambda t: t.best_r2 or 0.0, default=None)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Places of the (cost, gain) that no other one beats in both, by rising cost."""
    front: list[int] = []
    for place in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if not front or points[place][1] > points[front[-1]][1]:
            front.append(place)
    return front


def trials_table(trials: Sequence[TrialRecord]) -> pa.Table:
    """One row a trial: settings, status, R^2 and cost."""
    rows = [_row(trial) for trial in trials]
    return pa.table({name: pa.array([row[name] for row in rows]) for name in rows[0]})


def _row(trial: TrialRecord) -> dict[str, Any]:
    best_epoch = trial.best_epoch
    best = trial.history[best_epoch - 1] if best_epoch else None
    return {
        "trial": trial.number,
        "status": trial.status,
        "reason": trial.reason,
        **trial.settings,
        "epochs": len(trial.history),
        "best_validation_r2": trial.best_r2,
        "best_epoch": best_epoch,
        "best_validation_mae": best.validation_mae if best else None,
        "parameters": trial.parameters,
        "seconds": trial.seconds,
        "seconds_per_epoch": trial.seconds_per_epoch,
        **asdict(trial.cost),
        "validation_r2": [record.validation_r2 for record in trial.history],
    }
