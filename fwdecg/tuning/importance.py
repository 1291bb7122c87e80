"""Importance of each varied key: the fraction of the variance of R^2 that it explains alone.

The ranks of the trials' R^2 are regressed on the key: on its coordinate and the square of it, or
for choices on indicators of the choices. The importance is R^2 of this regression, adjusted for the
number of coefficients, and at least 0. Interactions of two keys remain invisible, and a result from
few trials is mostly noise.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from fwdecg.tuning.search_space import CHOICE, Dimension
from fwdecg.tuning.trials import TrialRecord

# Number of trials beyond the coefficients; an adjusted R^2 from fewer trials is mere noise.
MIN_DEGREES_OF_FREEDOM = 4


def importances(
    space: Sequence[Dimension], trials: Sequence[TrialRecord], *, epochs: int
) -> dict[str, float | None]:
    """Return the importance of each key; None if too few trials can be compared.

    Args:
        space: dimensions of the search space.
        trials: records of the trials; failed trials and those with fewer epochs do not count.
        epochs: number of epochs after which the trials are compared.
    """
    pairs = [(t, t.r2_after(epochs)) for t in trials if t.usable]
    compared = [(trial, r2) for trial, r2 in pairs if r2 is not None]
    ranks = rankdata([r2 for _, r2 in compared])
    return {
        dimension.name: adjusted_r2(
            _regressors(dimension, [trial.settings[dimension.name] for trial, _ in compared]), ranks
        )
        for dimension in space
    }


def adjusted_r2(
    regressors: Float[np.ndarray, "trial coefficient"], outcome: Float[np.ndarray, " trial"]
) -> float | None:
    """Return the adjusted R^2 of a linear regression with intercept, at least 0.

    Linearly dependent regressors do not count as coefficients.

    Returns:
        None if the outcome is constant or there are too few trials.
    """
    trials = len(outcome)
    design = np.column_stack([np.ones(trials), regressors])
    fitted, _, rank, _ = np.linalg.lstsq(design, outcome, rcond=None)
    total = float(np.square(outcome - outcome.mean()).sum()) if trials else 0.0
    degrees = trials - int(rank)
    if degrees < MIN_DEGREES_OF_FREEDOM or total == 0.0:
        return None
    residual = float(np.square(outcome - design @ fitted).sum())
    return max(0.0, 1.0 - (residual / degrees) / (total / (trials - 1)))


def _regressors(
    dimension: Dimension, values: Sequence[object]
) -> Float[np.ndarray, "trial coefficient"]:
    coordinates = np.array([dimension.coordinate(value) for value in values])
    if dimension.kind == CHOICE:
        return (coordinates[:, None] == np.arange(1, len(dimension.values))).astype(float)
    low, high = (dimension.coordinate(end) for end in dimension.values)
    x = (coordinates - low) / (high - low)
    return np.column_stack([x, x**2])
