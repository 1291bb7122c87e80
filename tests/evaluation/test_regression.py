"""Least squares from batches, against closed forms and a plain NumPy solution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.evaluation.regression import normal_equations, solve


def _random(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((rows, 5)), rng.standard_normal((rows, 2))


def test_one_feature_by_hand():
    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [3.0], [8.0]])
    # About the means 1 and 4: sum of x^2 is 2, of xy 7. Penalty 0.75 adds 0.75 * 2.
    equations = normal_equations([(x, y)], features=1, outputs=1)
    plain, shrunk = solve(equations, 0.0), solve(equations, 0.75)
    assert plain.weights.item() == pytest.approx(3.5)
    assert plain.intercept.item() == pytest.approx(0.5)
    assert shrunk.weights.item() == pytest.approx(2.0)
    assert shrunk.intercept.item() == pytest.approx(2.0)


@given(seed=st.integers(0, 2**16), cut=st.integers(1, 29), penalty=st.sampled_from([1e-3, 1.0]))
def test_the_result_does_not_depend_on_the_batches(seed, cut, penalty):
    x, y = _random(seed, 30)
    batches = [(x[:cut], y[:cut]), (x[cut:], y[cut:])]
    fit = solve(normal_equations(batches, features=5, outputs=2), penalty)
    u, v = x - x.mean(0), y - y.mean(0)
    ridge = penalty * np.trace(u.T @ u) / 5
    expected = np.linalg.solve(u.T @ u + ridge * np.eye(5), u.T @ v)
    np.testing.assert_allclose(fit.weights, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fit.intercept, y.mean(0) - x.mean(0) @ expected, rtol=0, atol=1e-10)


def test_half_precision_is_accumulated_in_double():
    x = np.full((5000, 1), 0.1, dtype=np.float16)
    x[0] = 0.0
    equations = normal_equations([(x, x)], features=1, outputs=1)
    assert equations.feature_mean.item() == x.astype(np.float64).mean()
