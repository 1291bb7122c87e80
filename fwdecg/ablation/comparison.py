"""Comparison of variants of the network with the full network on the same test cases.

Every variant is trained with the same seeds, and the value of a case is its mean over the seeds.
The sample therefore consists of cases, not trainings: the test asks whether these networks differ
on cases like these. The standard deviation over the seeds shows how much another training varies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from fwdecg.ablation.significance import Interval, PairedDifference, holm, mean_interval
from fwdecg.evaluation.report import ALL_CONDITIONS, COLUMNS
from fwdecg.evaluation.scores import CaseScore

COMPARED_METRICS = ("r2", "mae")


@dataclass(frozen=True, kw_only=True)
class RunScores:
    """The scores of one training.

    Attributes:
        variant: name of the variant.
        seed: seed of the training.
        scores: scores of the test cases, ordered by case id.
    """

    variant: str
    seed: int
    scores: Sequence[CaseScore]


@dataclass(frozen=True, kw_only=True)
class CorrectedDifference:
    """The difference between a variant and the full network in one group of cases.

    Attributes:
        difference: difference over the cases, variant minus full network.
        p_corrected: its p value, corrected by Holm's method for the number of variants.
    """

    difference: PairedDifference
    p_corrected: float


@dataclass(frozen=True, kw_only=True)
class VariantSummary:
    """A metric of one variant over a group of cases; the fields are the keys in metrics.json.

    Attributes:
        cases: number of cases.
        mean: mean over cases and seeds, in the unit of `CaseScore`.
        median: median over the cases of their means over the seeds.
        interval: confidence interval of the mean over cases; None for a single case.
        seed_spread: sample standard deviation over the seeds of the mean; None for a single seed.
        against: difference from the full network; None for the full network itself.
    """

    cases: int
    mean: float
    median: float
    interval: Interval | None
    seed_spread: float | None
    against: CorrectedDifference | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All variants in one metric.

    Attributes:
        metric: name of a field of `CaseScore`.
        summaries: by variant, the full network first, and by group: the conditions that have cases,
            and last "all".
    """

    metric: str
    summaries: Mapping[str, Mapping[str, VariantSummary]]

    @property
    def groups(self) -> dict[str, int]:
        """Number of cases in each group: the conditions that have cases, and last "all"."""
        full = next(iter(self.summaries.values()))
        return {name: summary.cases for name, summary in full.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return the summaries by variant and group as plain values."""
        return {
            variant: {name: asdict(summary) for name, summary in row.items()}
            for variant, row in self.summaries.items()
        }


def compare_variants(runs: Sequence[RunScores], metric: str) -> Comparison:
    """Compare every variant with the first one, the full network.

    Args:
        runs: trainings with the same test cases and, for each variant, the same seeds.
        metric: one of `COMPARED_METRICS`.
    """
    values = _values_by_variant(runs, metric)
    masks = _masks_by_group(runs[0].scores)
    groups = {
        name: _summarise_group({variant: each[:, mask] for variant, each in values.items()})
        for name, mask in masks.items()
    }
    return Comparison(
        metric=metric,
        summaries={
            variant: {name: group[variant] for name, group in groups.items()} for variant in values
        },
    )


def _values_by_variant(
    runs: Sequence[RunScores], metric: str
) -> dict[str, Float[np.ndarray, "seed case"]]:
    case_ids = [score.case_id for score in runs[0].scores]
    rows: dict[str, list[list[float]]] = {}
    for run in runs:
        assert [score.case_id for score in run.scores] == case_ids, "all runs have the same cases"
        rows.setdefault(run.variant, []).append([getattr(score, metric) for score in run.scores])
    return {variant: np.array(values) for variant, values in rows.items()}


def _masks_by_group(scores: Sequence[CaseScore]) -> dict[str, Bool[np.ndarray, " case"]]:
    """Return a mask of the cases of each group that has any."""
    masks = {
        name: np.array([name in (score.condition, ALL_CONDITIONS) for score in scores])
        for name in COLUMNS
    }
    return {name: mask for name, mask in masks.items() if mask.any()}


def _summarise_group(
    values: Mapping[str, Float[np.ndarray, "seed case"]],
) -> dict[str, VariantSummary]:
    """Return the summary of each variant over one group, compared with the first variant."""
    full, *others = values
    means = {variant: each.mean(axis=0) for variant, each in values.items()}
    differences = [PairedDifference.between(means[variant], means[full]) for variant in others]
    corrected = holm([difference.p_value for difference in differences])
    summaries = {variant: _summarise_variant(each) for variant, each in values.items()}
    for variant, difference, p in zip(others, differences, corrected, strict=True):
        against = CorrectedDifference(difference=difference, p_corrected=p)
        summaries[variant] = replace(summaries[variant], against=against)
    return summaries


def _summarise_variant(values: Float[np.ndarray, "seed case"]) -> VariantSummary:
    case_means, seed_means = values.mean(axis=0), values.mean(axis=1)
    return VariantSummary(
        cases=values.shape[1],
        mean=float(values.mean()),
        median=float(np.median(case_means)),
        interval=mean_interval(case_means),
        seed_spread=float(np.std(seed_means, ddof=1)) if len(seed_means) > 1 else None,
    )
