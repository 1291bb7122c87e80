"""Calibration of an ensemble's standard deviation: fit a factor on one split, judge it on others.

The members of an ensemble make similar errors, so their standard deviation is usually smaller than
the error. A single factor, sigma = factor * standard deviation, is fitted where the truth is known.
Errors and standard deviations are in z-scores.

Axes: N case, E electrode, T frame.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import spearmanr

WIDTHS = (1, 2, 3)  # half-widths of the intervals in sigma
NOMINAL = tuple(math.erf(width / math.sqrt(2)) for width in WIDTHS)  # coverage if errors are normal

# Smallest standard deviation: float32 predictions do not resolve smaller differences of z-scores.
SMALLEST_DEVIATION = 1e-6

LEAST_RANKED = 3  # a rank correlation of fewer values has no meaning

Signals = Float[np.ndarray, "N E T"]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Agreement between sigma and the error over some cases.

    Attributes:
        cases: number of cases.
        rmse: root mean square error of the mean prediction, in z-scores.
        sigma: root mean square of sigma; it equals `rmse` if sigma is right on average.
        coverage: fraction of samples whose error is within 1, 2 and 3 sigma.
        case_correlation: Spearman's correlation over cases between the root mean squares of sigma
            and error; None for fewer than three cases or if one of the two is constant.
        sample_correlation: Spearman's correlation over all samples between sigma and the absolute
            error; None under the same conditions.
    """

    cases: int
    rmse: float
    sigma: float
    coverage: tuple[float, ...]
    case_correlation: float | None
    sample_correlation: float | None

    @classmethod
    def from_errors(cls, error: Signals, sigma: Signals) -> "Calibration":
        """Compute the calibration over at least one case."""
        return cls(
            cases=len(error),
            rmse=float(_root_mean_square(error)),
            sigma=float(_root_mean_square(sigma)),
            coverage=tuple(float(covered(error, sigma, width).mean()) for width in WIDTHS),
            case_correlation=_rank_correlation(rms_by_case(sigma), rms_by_case(error)),
            sample_correlation=_rank_correlation(sigma.ravel(), np.abs(error).ravel()),
        )


def fit_factor(error: Signals, deviation: Signals) -> float:
    """Return the factor with which one sigma covers 68.3 % of the samples, as for normal errors.

    The factor is a quantile of |error| / deviation. The root mean square of that ratio would be the
    maximum-likelihood estimate for normal errors, but it is not robust. With few members, the
    standard deviation of some samples is nearly zero by chance. If the truth and M members follow
    the same normal distribution, the ratio is proportional to Student's t with M - 1 degrees of
    freedom, whose variance is infinite up to M = 3.
    """
    ratio = np.abs(error) / np.maximum(deviation, SMALLEST_DEVIATION)
    return float(np.quantile(ratio, NOMINAL[0]))


def calibrated(deviation: Signals, factor: float) -> Signals:
    """Return sigma: the standard deviation times a factor from `fit_factor`."""
    return factor * np.maximum(deviation, SMALLEST_DEVIATION)


def covered(error: Signals, sigma: Signals, width: float) -> Bool[np.ndarray, "N E T"]:
    """Return where the truth is within `width` sigma of the mean prediction."""
    return np.abs(error) <= width * sigma


def rms_by_case(signals: Signals) -> Float[np.ndarray, " N"]:
    """Return the root mean square over the samples of each case."""
    return np.sqrt(np.square(signals, dtype=np.float64).mean((1, 2)))


def _root_mean_square(values: np.ndarray) -> np.float64:
    return np.sqrt(np.square(values, dtype=np.float64).mean())


def _rank_correlation(
    first: Float[np.ndarray, " values"], second: Float[np.ndarray, " values"]
) -> float | None:
    if len(first) < LEAST_RANKED or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(spearmanr(first, second).statistic)
