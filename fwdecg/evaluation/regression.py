"""Linear least squares with an L2 penalty, from batches of rows that need not fit into memory.

Axes: feature, output. The number of rows (frames of a case) may differ between batches.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64
from scipy.linalg import blas, cho_factor, cho_solve

Features = Float[np.ndarray, "_ feature"]
Outputs = Float[np.ndarray, "_ output"]


class NormalEquations(NamedTuple):
    """Sums over rows of centred products; only the upper triangle of `gram` is filled."""

    gram: Float64[np.ndarray, "feature feature"]
    cross: Float64[np.ndarray, "feature output"]
    feature_mean: Float64[np.ndarray, " feature"]
    output_mean: Float64[np.ndarray, " output"]


class LinearFit(NamedTuple):
    """A fit of the form outputs = features @ weights + intercept."""

    weights: Float64[np.ndarray, "feature output"]
    intercept: Float64[np.ndarray, " output"]


def normal_equations(
    batches: Iterable[tuple[Features, Outputs]], *, features: int, outputs: int
) -> NormalEquations:
    """Accumulate the normal equations of all rows in float64.

    Args:
        batches: features and outputs of some rows; at least one row in total.
        features: number of features.
        outputs: number of outputs.
    """
    gram = np.zeros((features, features), order="F")
    cross = np.zeros((features, outputs))
    feature_sum, output_sum, rows = np.zeros(features), np.zeros(outputs), 0
    for x, y in batches:
        wide = x.astype(np.float64)
        # A symmetric rank-k update in place takes half the work of x.T @ x and no second matrix.
        gram = blas.dsyrk(1.0, wide.T, beta=1.0, c=gram, overwrite_c=1)
        cross += wide.T @ y.astype(np.float64)
        feature_sum += wide.sum(0)
        output_sum += y.sum(0, dtype=np.float64)
        rows += len(x)
    feature_mean, output_mean = feature_sum / rows, output_sum / rows
    gram = blas.dsyr(-float(rows), feature_mean, a=gram, overwrite_a=1)
    cross -= rows * np.outer(feature_mean, output_mean)
    return NormalEquations(gram, cross, feature_mean, output_mean)


def solve(equations: NormalEquations, penalty: float) -> LinearFit:
    """Return the fit that minimises the squared error plus a penalty on the squared weights.

    Args:
        equations: normal equations of the rows.
        penalty: penalty relative to the mean diagonal element of the Gram matrix. It does not
            apply to the intercept.
    """
    gram, cross, feature_mean, output_mean = equations
    ridge = penalty * np.trace(gram) / len(gram)
    regular = gram.copy(order="F")
    regular[np.diag_indices(len(gram))] += ridge
    weights = cho_solve(cho_factor(regular, overwrite_a=True, check_finite=False), cross)
    return LinearFit(weights, output_mean - feature_mean @ weights)
