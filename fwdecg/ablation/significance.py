"""Whether two networks differ over the same cases: paired test, effect size, interval, correction.

The differences of a case are one value; cases are independent draws. Everything here is of that
sample of differences, which may be small, skewed, and have outliers: hence ranks for the test, and
the bootstrap for the interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 9999
RESAMPLING_SEED = 0  # the same values have the same interval
MARKS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))

Values = Float[np.ndarray, " case"]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A confidence interval of a mean over cases."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """How much a network differs from a reference over the same cases.

    Attributes:
        cases: their number.
        mean: of the differences, network minus reference, in the unit of the metric.
        interval: of that mean; None for a single case.
        effect_size: matched-pairs rank-biserial correlation, see `rank_biserial`.
        p_value: two-sided, of the Wilcoxon signed-rank test, not corrected.
    """

    cases: int
    mean: float
    interval: Interval | None
    effect_size: float
    p_value: float

    @classmethod
    def between(cls, network: Values, reference: Values) -> "PairedDifference":
        """The difference of a network from a reference, case by case, of at least one case."""
        differences = network - reference
        return cls(
            cases=len(differences),
            mean=float(differences.mean()),
            interval=mean_interval(differences),
            effect_size=rank_biserial(differences),
            p_value=signed_rank_p(differences),
        )


def signed_rank_p(differences: Values) -> float:
    """Two-sided p of Wilcoxon's signed-rank test that the differences are symmetric about 0.

    Exact for up to 50 cases without ties. Cases without a difference say nothing and are left out,
    as Wilcoxon did; where no case differs p is 1.
    """
    moved = differences[differences != 0]
    return float(stats.wilcoxon(moved).pvalue) if moved.size else 1.0


def smallest_p(cases: int) -> float:
    """The least exact p that `signed_rank_p` can find in so many cases: that of equal signs."""
    return 2.0 ** (1 - cases)


def rank_biserial(differences: Values) -> float:
    """Rank-biserial correlation: share of the ranks of gains less that of losses, in [-1, 1].

    1 where every case gains, -1 where every case loses, 0 where the two are even or no case
    differs (Kerby, Comprehensive Psychology 3, 2014).
    """
    moved = differences[differences != 0]
    if not moved.size:
        return 0.0
    ranks = stats.rankdata(np.abs(moved))
    return float((ranks * np.sign(moved)).sum() / ranks.sum())


def mean_interval(values: Values) -> Interval | None:
    """Bootstrap interval (BCa, 95 %) of the mean over cases; None for a single case."""
    if len(values) < 2:
        return None
    if np.ptp(values) == 0:  # the bootstrap cannot tell the skewness of equal values
        return Interval(low=float(values[0]), high=float(values[0]))
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(RESAMPLING_SEED),
    ).confidence_interval
    return Interval(low=float(found.low), high=float(found.high))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values corrected for their number by Holm's step-down method, in the same order.

    To call all those below alpha significant is wrong about any of them with a probability of at
    most alpha (Holm, Scandinavian Journal of Statistics 6, 1979).
    """
    order = np.argsort(p_values)
    steps = np.array(p_values)[order] * np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected.tolist()


def mark(p_value: float) -> str:
    """Stars of a p value: one below 0.05, two below 0.01, three below 0.001."""
    return next((stars for limit, stars in MARKS if p_value < limit), "")
