"""Factor, coverage and correlations of errors with a known distribution."""

import math

import numpy as np
import pytest
from scipy.stats import norm, t

from fwdecg.evaluation.calibration import NOMINAL, Calibration, calibrated, covered, fit_factor

SHAPE = (40, 2, 250)  # 20 000 samples


@pytest.fixture
def deviation():
    """Standard deviations between 0.01 and 1, constant within each case."""
    return np.repeat(np.geomspace(0.01, 1.0, SHAPE[0]), 500).reshape(SHAPE)


@pytest.fixture
def error(deviation):
    """Normal errors whose standard deviation is 2.5 times the predicted one."""
    return 2.5 * deviation * np.random.default_rng(0).standard_normal(SHAPE)


def test_the_factor_by_hand():
    error, deviation = np.array([[[3.0, -8.0]]]), np.array([[[1.0, 2.0]]])
    # Interpolated between the ratios 3 and 4 at the coverage of one sigma, 68.3 %.
    assert fit_factor(error, deviation) == pytest.approx(3 + math.erf(math.sqrt(0.5)))


@pytest.mark.parametrize("members", [2, 3, 5])
def test_the_factor_if_members_and_truth_follow_one_law(members):
    draws = np.random.default_rng(members).standard_normal((members + 1, *SHAPE))
    error, deviation = draws[1:].mean(0) - draws[0], draws[1:].std(0, ddof=1)
    # error / deviation is sqrt(1 + 1 / M) times Student's t with M - 1 degrees of freedom.
    quantile = t.ppf(0.5 + NOMINAL[0] / 2, members - 1)
    expected = math.sqrt(1 + 1 / members) * quantile
    assert fit_factor(error, deviation) == pytest.approx(expected, rel=0.06)


def test_members_that_agree_exactly_have_a_finite_factor():
    factor = fit_factor(np.full((1, 1, 4), 1e-3), np.zeros((1, 1, 4)))
    assert factor == pytest.approx(1e3)
    np.testing.assert_allclose(calibrated(np.zeros((1, 1, 4)), factor), 1e-3)


def test_nominal_coverage():
    expected = [norm.cdf(width) - norm.cdf(-width) for width in (1, 2, 3)]
    assert pytest.approx(expected) == NOMINAL


def test_coverage_by_hand():
    error, sigma = np.array([[[0.5, -1.0, 1.5, -3.5]]]), np.ones((1, 1, 4))
    assert covered(error, sigma, 1).ravel().tolist() == [True, True, False, False]
    assert Calibration.from_errors(error, sigma).coverage == (0.5, 0.75, 0.75)


def test_a_fitted_sigma_covers_normal_errors(error, deviation):
    even, odd = slice(0, None, 2), slice(1, None, 2)
    sigma = calibrated(deviation[odd], fit_factor(error[even], deviation[even]))
    found = Calibration.from_errors(error[odd], sigma)
    # The standard error of a fraction of 10 000 samples is at most 0.005.
    assert found.coverage == pytest.approx(NOMINAL, abs=0.02)
    assert found.sigma == pytest.approx(found.rmse, rel=0.05)
    # The error of a case is known to 1 / sqrt(1000); neighbouring deviations differ by 12 %.
    assert found.case_correlation == pytest.approx(1.0, abs=0.02)


def test_a_misleading_deviation_correlates_negatively(deviation):
    assert Calibration.from_errors(1 / deviation, deviation).case_correlation == pytest.approx(-1.0)


def test_two_cases_have_no_correlation(error, deviation):
    assert Calibration.from_errors(error[:2], deviation[:2]).case_correlation is None


def test_a_constant_deviation_has_no_correlation(error):
    found = Calibration.from_errors(error, np.ones(SHAPE))
    assert (found.case_correlation, found.sample_correlation) == (None, None)
