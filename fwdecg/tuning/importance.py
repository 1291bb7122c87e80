"""How much of the spread of a search's results goes with one of its parameters alone.

The rank of each trial's R^2 is regressed on the parameter: on its place on the axis on which it
was drawn and the square of that, or, for choices, on which it was. The share of variance explained
is adjusted for the number of coefficients, and is 0 if nothing is left. What only two parameters
together do is not seen, and a few trials tell little.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from fwdecg.tuning.search_space import CHOICE, Dimension
from fwdecg.tuning.trials import TrialRecord

LEAST_FREEDOM = 4  # trials beyond the coefficients; with fewer an adjusted share is mere noise


def importances(
    space: Sequence[Dimension], trials: Sequence[TrialRecord], *, epochs: int
) -> dict[str, float | None]:
    """Explained share of the variance of R^2's ranks, by parameter; None with too few trials.

    Args:
        space: the parameters.
        trials: those that failed are left out.
        epochs: after which the trials are compared, as all of them had so many.
    """
    pairs = [(t, t.r2_after(epochs)) for t in trials if t.usable]
    compared = [(trial, r2) for trial, r2 in pairs if r2 is not None]
    ranks = rankdata([r2 for _, r2 in compared])
    return {
        dimension.name: explained_share(
            _regressors(dimension, [trial.settings[dimension.name] for trial, _ in compared]), ranks
        )
        for dimension in space
    }


def explained_share(
    regressors: Float[np.ndarray, "trial coefficient"], outcome: Float[np.ndarray, " trial"]
) -> float | None:
    """Adjusted R^2 of a linear regression with intercept, 0 at least; None where undefined.

    Columns that add nothing to those before are not counted as coefficients.
    """
    trials = len(outcome)
    design = np.column_stack([np.ones(trials), regressors])
    fitted, _, rank, _ = np.linalg.lstsq(design, outcome, rcond=None)
    spread = float(np.square(outcome - outcome.mean()).sum()) if trials else 0.0
    if trials - int(rank) < LEAST_FREEDOM or spread == 0.0:
        return None
    left = float(np.square(outcome - design @ fitted).sum())
    return max(0.0, 1.0 - (left / (trials - int(rank))) / (spread / (trials - 1)))


def _regressors(
    dimension: Dimension, values: Sequence[object]
) -> Float[np.ndarray, "trial coefficient"]:
    places = np.array([dimension.scale(value) for value in values])
    if dimension.kind == CHOICE:
        return (places[:, None] == np.arange(1, len(dimension.values))).astype(float)
    low, high = (dimension.scale(end) for end in dimension.values)
    x = (places - low) / (high - low)
    return np.column_stack([x, x**2])
