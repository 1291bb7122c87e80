import numpy as np
import pytest

from fwdecg.errors import LibraryError
from fwdecg.library.statistics import Moments, PartMoments, Statistics, combine_moments


def part(u, phi_e):
    return PartMoments(u=Moments.from_values(u), phi_e=(Moments.from_values(phi_e),))


def test_combined_moments_equal_those_of_all_values():
    rng = np.random.default_rng(0)
    u, phi_e = rng.normal(0.2, 0.3, (6, 50)), rng.normal(5.0, 2.0, (6, 10))
    found = combine_moments([part(u[:2], phi_e[:2]), part(u[2:], phi_e[2:])], cases=6)
    assert (found.u_mean, found.u_spread) == pytest.approx((u.mean(), u.std()))
    assert found.phi_e_mean == pytest.approx((phi_e.mean(),))
    assert found.phi_e_spread == pytest.approx((phi_e.std(),))


def test_statistics_by_hand():
    found = combine_moments([part(np.array([1.0, 3.0]), np.array([2.0, 2.0]))], cases=1)
    assert found == Statistics(
        cases=1, u_mean=2.0, u_spread=1.0, phi_e_mean=(2.0,), phi_e_spread=(0.0,)
    )
    assert Statistics.from_dict(found.as_dict()) == found


def test_no_training_cases_means_no_statistics():
    assert combine_moments([], cases=0) is None


def test_incomplete_statistics_are_refused():
    with pytest.raises(LibraryError, match="statistics.json has no 'u_mean'"):
        Statistics.from_dict({"cases": 3})
