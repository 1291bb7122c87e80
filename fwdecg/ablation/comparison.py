"""What a part of the network is worth: variants of it against the whole, over the same test cases.

Every variant is trained with the same seeds. A case's value is the mean over the seeds, so that the
cases, not the trainings, are the sample: what is tested is whether these networks differ on cases
like these. The spread over seeds stands beside, for how much another training would.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from fwdecg.ablation.significance import Interval, PairedDifference, holm, mean_interval
from fwdecg.evaluation.report import ALL_CONDITIONS, COLUMNS
from fwdecg.evaluation.scores import CaseScore

COMPARED = ("r2", "mae")


@dataclass(frozen=True, kw_only=True)
class RunScores:
    """What one training came to.

    Attributes:
        variant: of the network.
        seed: of the training.
        scores: of the test cases, by case id.
    """

    variant: str
    seed: int
    scores: Sequence[CaseScore]


@dataclass(frozen=True, kw_only=True)
class Against:
    """A variant against the whole network in one column.

    Attributes:
        difference: over the cases, variant minus whole.
        p_corrected: its p value by Holm's method, for the number of variants in the column.
    """

    difference: PairedDifference
    p_corrected: float


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A metric of a variant over the cases of a column; units as in `CaseScore`.

    Attributes:
        cases: their number.
        mean: over cases and seeds.
        median: over cases, of their means over the seeds.
        interval: of the mean over cases; None for a single case.
        seed_spread: sample standard deviation over seeds of the mean; None for a single seed.
        against: the whole network; None for itself.
    """

    cases: int
    mean: float
    median: float
    interval: Interval | None
    seed_spread: float | None
    against: Against | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All variants in one metric.

    Attributes:
        metric: name of a field of `CaseScore`.
        entries: by variant, the whole network first, and by column: the conditions that have cases,
            and last "all".
    """

    metric: str
    entries: Mapping[str, Mapping[str, Entry]]

    @property
    def columns(self) -> list[str]:
        """The conditions that have cases, and last "all"."""
        return list(next(iter(self.entries.values())))

    def as_dict(self) -> dict[str, Any]:
        """Entries by variant and column, as plain values."""
        return {
            variant: {column: asdict(entry) for column, entry in row.items()}
            for variant, row in self.entries.items()
        }


def compare_variants(runs: Sequence[RunScores], metric: str) -> Comparison:
    """The variants in one metric, each against the first.

    Args:
        runs: with the same test cases and, for each variant, the same seeds.
        metric: one of `COMPARED`.
    """
    values = _by_variant(runs, metric)
    members = _members(runs[0].scores)
    columns = {
        name: _column({variant: held[:, chosen] for variant, held in values.items()})
        for name, chosen in members.items()
    }
    return Comparison(
        metric=metric,
        entries={
            variant: {name: column[variant] for name, column in columns.items()}
            for variant in values
        },
    )


def _by_variant(
    runs: Sequence[RunScores], metric: str
) -> dict[str, Float[np.ndarray, "seed case"]]:
    case_ids = [score.case_id for score in runs[0].scores]
    rows: dict[str, list[list[float]]] = {}
    for run in runs:
        assert [score.case_id for score in run.scores] == case_ids, "all runs have the same cases"
        own = [getattr(score, metric) for score in run.scores]
        rows.setdefault(run.variant, []).append(own)
    return {variant: np.array(held) for variant, held in rows.items()}


def _members(scores: Sequence[CaseScore]) -> dict[str, Bool[np.ndarray, " case"]]:
    """Which cases belong to each column that has any."""
    chosen = {
        name: np.array([name in (score.condition, ALL_CONDITIONS) for score in scores])
        for name in COLUMNS
    }
    return {name: which for name, which in chosen.items() if which.any()}


def _column(values: Mapping[str, Float[np.ndarray, "seed case"]]) -> dict[str, Entry]:
    """The entries of a column, each variant compared with the first."""
    whole, *others = values
    means = {variant: held.mean(axis=0) for variant, held in values.items()}
    differences = [PairedDifference.between(means[variant], means[whole]) for variant in others]
    corrected = holm([difference.p_value for difference in differences])
    entries = {variant: _entry(held) for variant, held in values.items()}
    for variant, difference, p in zip(others, differences, corrected, strict=True):
        against = Against(difference=difference, p_corrected=p)
        entries[variant] = replace(entries[variant], against=against)
    return entries


def _entry(values: Float[np.ndarray, "seed case"]) -> Entry:
    of_cases, of_seeds = values.mean(axis=0), values.mean(axis=1)
    return Entry(
        cases=values.shape[1],
        mean=float(values.mean()),
        median=float(np.median(of_cases)),
        interval=mean_interval(of_cases),
        seed_spread=float(np.std(of_seeds, ddof=1)) if len(of_seeds) > 1 else None,
    )
