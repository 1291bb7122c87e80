"""Paired comparison of two networks: test, effect size, confidence interval, and correction.

Each case contributes one difference, and the cases are independent draws. The sample of differences
may be small, skewed or contain outliers. The test therefore uses ranks, and the interval uses the
bootstrap.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 9999
RESAMPLING_SEED = 0  # fixed, so that the same values always give the same interval
MARKS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))  # stars for p values below a limit

Values = Float[np.ndarray, " case"]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A confidence interval of a mean over cases."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """The difference between a network and a reference on the same cases.

    Attributes:
        cases: number of cases.
        mean: mean difference, network minus reference, in the unit of the metric.
        interval: confidence interval of the mean; None for a single case.
        effect_size: matched-pairs rank-biserial correlation, see `rank_biserial`.
        p_value: two-sided p value of the Wilcoxon signed-rank test, not corrected.
    """

    cases: int
    mean: float
    interval: Interval | None
    effect_size: float
    p_value: float

    @classmethod
    def between(cls, network: Values, reference: Values) -> "PairedDifference":
        """Compare a network with a reference on at least one case."""
        differences = network - reference
        return cls(
            cases=len(differences),
            mean=float(differences.mean()),
            interval=mean_interval(differences),
            effect_size=rank_biserial(differences),
            p_value=signed_rank_p(differences),
        )


def signed_rank_p(differences: Values) -> float:
    """Return the two-sided p value of Wilcoxon's test that the differences are symmetric about 0.

    The value is exact for up to 50 cases without ties. As in Wilcoxon's original test, cases with a
    difference of 0 are left out. If all differences are 0, p is 1.
    """
    nonzero = differences[differences != 0]
    return float(stats.wilcoxon(nonzero).pvalue) if nonzero.size else 1.0


def smallest_p(cases: int) -> float:
    """Return the smallest p value of `signed_rank_p`: all differences have the same sign."""
    return 2.0 ** (1 - cases)


def rank_biserial(differences: Values) -> float:
    """Return the rank-biserial correlation: (gains - losses) / (gains + losses), as rank sums.

    It is 1 if every case gains, -1 if every case loses, and 0 if gains and losses balance or all
    differences are 0 (Kerby, Comprehensive Psychology 3, 2014).
    """
    nonzero = differences[differences != 0]
    if not nonzero.size:
        return 0.0
    ranks = stats.rankdata(np.abs(nonzero))
    return float((ranks * np.sign(nonzero)).sum() / ranks.sum())


def mean_interval(values: Values) -> Interval | None:
    """Return the 95 % bootstrap interval (BCa) of the mean over cases; None for a single case."""
    if len(values) < 2:
        return None
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # equal values
        found = stats.bootstrap(
            (values,),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            method="BCa",
            rng=np.random.default_rng(RESAMPLING_SEED),
        ).confidence_interval
    if not np.isfinite(found).all():  # BCa is undefined for values that are equal up to rounding
        return Interval(low=float(values.min()), high=float(values.max()))
    return Interval(low=float(found.low), high=float(found.high))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number by Holm's step-down method, in the given order.

    If all corrected values below alpha are called significant, the probability of any false claim
    is at most alpha (Holm, Scandinavian Journal of Statistics 6, 1979).
    """
    order = np.argsort(p_values)
    steps = np.array(p_values)[order] * np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected.tolist()


def stars(p_value: float) -> str:
    """Return "*" for p below 0.05, "**" below 0.01, "***" below 0.001, and "" otherwise."""
    return next((mark for limit, mark in MARKS if p_value < limit), "")
