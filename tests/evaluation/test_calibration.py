"""Factor, coverage and correlations of errors whose law is known."""

import math

import numpy as np
import pytest
from scipy.stats import norm, t

from fwdecg.evaluation.calibration import NOMINAL, Calibration, covered, fit_factor, scaled

SHAPE = (40, 2, 250)  # 20 000 samples


@pytest.fixture
def spread() -> np.ndarray:
    """Spreads between 0.01 and 1, constant over each case."""
    return np.repeat(np.geomspace(0.01, 1.0, SHAPE[0]), 500).reshape(SHAPE)


@pytest.fixture
def error(spread: np.ndarray) -> np.ndarray:
    """Normal errors, 2.5 times as large as the spread says."""
    return 2.5 * spread * np.random.default_rng(0).standard_normal(SHAPE)


def test_the_factor_by_hand() -> None:
    error, spread = np.array([[[3.0, -8.0]]]), np.array([[[1.0, 2.0]]])
    # Between the ratios 3 and 4, at the share of a normal law within one sigma.
    assert fit_factor(error, spread) == pytest.approx(3 + math.erf(math.sqrt(0.5)))


def test_the_factor_of_normal_errors(error: np.ndarray, spread: np.ndarray) -> None:
    # Standard error of the quantile: 2.5 * sqrt(0.68 * 0.32 / 20 000) / (2 * 0.242) = 0.017.
    assert fit_factor(error, spread) == pytest.approx(2.5, abs=0.07)


@pytest.mark.parametrize("members", [2, 3, 5])
def test_the_factor_of_members_and_truth_of_one_law(members: int) -> None:
    draws = np.random.default_rng(members).standard_normal((members + 1, *SHAPE))
    error, spread = draws[1:].mean(0) - draws[0], draws[1:].std(0, ddof=1)
    # error / spread is sqrt(1 + 1 / M) times a variable of Student's law with M - 1 degrees.
    quantile = t.ppf(0.5 + NOMINAL[0] / 2, members - 1)
    expected = math.sqrt(1 + 1 / members) * quantile
    assert fit_factor(error, spread) == pytest.approx(expected, rel=0.06)


def test_the_factor_follows_the_unit(error: np.ndarray, spread: np.ndarray) -> None:
    factor = fit_factor(error, spread)
    assert fit_factor(error, 10 * spread) == pytest.approx(factor / 10)
    assert fit_factor(1000 * error, 1000 * spread) == pytest.approx(factor)


def test_members_that_agree_exactly_are_not_infinitely_sure() -> None:
    factor = fit_factor(np.full((1, 1, 4), 1e-3), np.zeros((1, 1, 4)))
    assert factor == pytest.approx(1e3)
    np.testing.assert_allclose(scaled(np.zeros((1, 1, 4)), factor), 1e-3)


def test_nominal_coverage() -> None:
    expected = [norm.cdf(width) - norm.cdf(-width) for width in (1, 2, 3)]
    assert pytest.approx(expected) == NOMINAL


def test_coverage_by_hand() -> None:
    error, sigma = np.array([[[0.5, -1.0, 1.5, -3.5]]]), np.ones((1, 1, 4))
    assert covered(error, sigma, 1).ravel().tolist() == [True, True, False, False]
    assert Calibration.of(error, sigma).coverage == (0.5, 0.75, 0.75)


def test_a_fitted_sigma_covers_normal_errors(error: np.ndarray, spread: np.ndarray) -> None:
    even, odd = slice(0, None, 2), slice(1, None, 2)
    sigma = scaled(spread[odd], fit_factor(error[even], spread[even]))
    found = Calibration.of(error[odd], sigma)
    # Standard errors of shares of 10 000 samples are at most 0.005.
    assert found.coverage == pytest.approx(NOMINAL, abs=0.02)
    assert found.sigma == pytest.approx(found.rmse, rel=0.05)
    # Each case's error is known to 1 / sqrt(1000), neighbouring spreads differ by 12 %.
    assert found.case_correlation == pytest.approx(1.0, abs=0.02)


def test_a_spread_that_tells_nothing(spread: np.ndarray) -> None:
    error = np.random.default_rng(1).standard_normal(SHAPE)
    found = Calibration.of(error, spread)
    assert found.case_correlation is not None
    assert abs(found.case_correlation) < 0.5  # 3 / sqrt(40)
    assert found.sample_correlation == pytest.approx(0.0, abs=0.02)


def test_a_spread_that_misleads(spread: np.ndarray) -> None:
    assert Calibration.of(1 / spread, spread).case_correlation == pytest.approx(-1.0)


@pytest.mark.parametrize("cases", [1, 2])
def test_too_few_cases_for_a_correlation(error: np.ndarray, spread: np.ndarray, cases: int) -> None:
    assert Calibration.of(error[:cases], spread[:cases]).case_correlation is None


def test_a_constant_spread_has_no_correlation(error: np.ndarray) -> None:
    found = Calibration.of(error, np.ones(SHAPE))
    assert (found.case_correlation, found.sample_correlation) == (None, None)
