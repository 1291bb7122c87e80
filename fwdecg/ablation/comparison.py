"""Comparison of variants of the network with the full network on the same test cases.

Every variant is trained with the same seeds, and the value of a case is its mean over the seeds.
The sample therefore consists of cases, not trainings: the test asks whether these networks differ
on cases like these. The standard deviation over the seeds shows how much the result varies between
trainings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from fwdecg.ablation.significance import Interval, PairedDifference, holm, mean_interval
from fwdecg.evaluation.report import ALL_CONDITIONS, COLUMNS

COMPARED_METRICS = ("r2", "mae")


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
    """One variant's metric over a group of cases. The fields are the keys in metrics.json.

    Attributes:
        cases: number of cases.
        mean: mean over cases and seeds, in the unit of `CaseScore`.
        median: median over cases, after averaging each case over the seeds.
        interval: confidence interval of the mean over cases; None for a single case.
        seed_spread: sample standard deviation, over the seeds, of the mean over cases; None for a
            single seed.
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
    """Comparison of all variants by one metric.

    Attributes:
        metric: name of a field of `CaseScore`.
        summaries: summaries by variant and group. The full network comes first. The groups are the
            conditions that have cases, and last "all".
    """

    metric: str
    summaries: Mapping[str, Mapping[str, VariantSummary]]

    @property
    def groups(self) -> dict[str, int]:
        """Number of cases in each group: the conditions that have cases, and last "all"."""
        full = next(iter(self.summaries.values()))
        return {name: summary.cases for name, summary in full.items()}


def compare_variants(runs: Sequence[pa.Table], metric: str) -> Comparison:
    """Compare every variant with the first one, the full network.

    Args:
        runs: one table from `evaluation.scores.scores_table` for each training, with the variant as
            predictor. All tables have the same test cases, and all variants the same seeds.
        metric: one of `COMPARED_METRICS`.
    """
    rows: dict[str, list[Float[np.ndarray, " case"]]] = {}
    for run in runs:
        assert run["case_id"] == runs[0]["case_id"], "all runs have the same cases"
        rows.setdefault(run["predictor"][0].as_py(), []).append(run[metric].to_numpy())
    values = {variant: np.array(each) for variant, each in rows.items()}
    conditions = runs[0]["condition"].to_pylist()
    masks = {
        name: np.array([name in (own, ALL_CONDITIONS) for own in conditions]) for name in COLUMNS
    }
    groups = {
        name: _summarise_group({variant: each[:, mask] for variant, each in values.items()})
        for name, mask in masks.items()
        if mask.any()
    }
    return Comparison(
        metric=metric,
        summaries={
            variant: {name: group[variant] for name, group in groups.items()} for variant in values
        },
    )


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
