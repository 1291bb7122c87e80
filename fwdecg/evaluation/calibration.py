"""Whether a forecast spread tells the error: a factor fitted on one split, judged on others.

The members of an ensemble share what they do not know, so their spread is mostly too small. One
factor, sigma = factor * spread, is fitted where the truth is known. Errors and spreads are in
z-scores.

Axes: N case, E electrode, T frame.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import spearmanr

WIDTHS = (1, 2, 3)  # half-widths of intervals, in sigma
NOMINAL = tuple(math.erf(width / math.sqrt(2)) for width in WIDTHS)  # coverage of normal errors

# Members in float32 cannot tell z-scores apart that are closer; no interval is narrower.
SMALLEST_SPREAD = 1e-6

LEAST_RANKED = 3  # of fewer values a rank correlation says nothing

Signals = Float[np.ndarray, "N E T"]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How well sigma tells the error over some cases.

    Attributes:
        cases: their number.
        rmse: root mean square error of the mean, in z-scores.
        sigma: root mean square of sigma; equal to `rmse` where sigma is right on the whole.
        coverage: share of samples whose error is within 1, 2 and 3 sigma.
        case_correlation: Spearman's, over cases, of root mean square sigma and error; None of
            fewer than three cases, or where one of the two is constant.
        sample_correlation: the same over all samples, of sigma and absolute error.
    """

    cases: int
    rmse: float
    sigma: float
    coverage: tuple[float, ...]
    case_correlation: float | None
    sample_correlation: float | None

    @classmethod
    def of(cls, error: Signals, sigma: Signals) -> "Calibration":
        """The calibration over at least one case."""
        return cls(
            cases=len(error),
            rmse=float(_root_mean_square(error)),
            sigma=float(_root_mean_square(sigma)),
            coverage=tuple(float(covered(error, sigma, width).mean()) for width in WIDTHS),
            case_correlation=_rank_correlation(by_case(sigma), by_case(error)),
            sample_correlation=_rank_correlation(sigma.ravel(), np.abs(error).ravel()),
        )


def fit_factor(error: Signals, spread: Signals) -> float:
    """The factor with which one sigma covers as many samples as one of a normal law, 68.3 %.

    It is a quantile of |error| / spread. The root mean square of that ratio, which makes normal
    errors most likely, is of no use with few members: their spread is nearly zero somewhere by
    chance. With truth and M members of one normal law the ratio follows Student's law of M - 1
    degrees of freedom, whose variance is infinite up to M = 3.
    """
    ratio = np.abs(error) / np.maximum(spread, SMALLEST_SPREAD)
    return float(np.quantile(ratio, NOMINAL[0]))


def scaled(spread: Signals, factor: float) -> Signals:
    """Sigma of a spread, by a factor that `fit_factor` gave."""
    return factor * np.maximum(spread, SMALLEST_SPREAD)


def covered(error: Signals, sigma: Signals, width: float) -> Bool[np.ndarray, "N E T"]:
    """Where the truth is within `width` sigma of the mean."""
    return np.abs(error) <= width * sigma


def by_case(signals: Signals) -> Float[np.ndarray, " N"]:
    """Root mean square over the samples of each case."""
    return np.sqrt(np.square(signals, dtype=np.float64).mean((1, 2)))


def _root_mean_square(values: np.ndarray) -> np.float64:
    return np.sqrt(np.square(values, dtype=np.float64).mean())


def _rank_correlation(
    first: Float[np.ndarray, " values"], second: Float[np.ndarray, " values"]
) -> float | None:
    if len(first) < LEAST_RANKED or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(spearmanr(first, second).statistic)
