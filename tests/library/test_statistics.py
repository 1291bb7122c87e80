from dataclasses import asdict

import numpy as np
import pytest

from fwdecg.errors import LibraryError
from fwdecg.library.statistics import Statistics, combine_moments, moments_of


def test_statistics_of_two_parts_equal_those_of_all_values():
    rng = np.random.default_rng(0)
    u, phi_e = rng.normal(0.2, 0.3, (6, 50)), rng.normal(5.0, 2.0, (6, 2, 10))
    parts = [moments_of(u[:2], phi_e[:2]), moments_of(u[2:], phi_e[2:])]
    found = combine_moments(parts, cases=6)
    assert (found.u_mean, found.u_spread) == pytest.approx((u.mean(), u.std()))
    assert found.phi_e_mean == pytest.approx(tuple(phi_e.mean(axis=(0, 2))))
    assert found.phi_e_spread == pytest.approx(tuple(phi_e.std(axis=(0, 2))))


def test_statistics_by_hand():
    found = combine_moments([moments_of(np.array([1.0, 3.0]), np.array([[[2.0, 2.0]]]))], cases=1)
    assert found == Statistics(
        cases=1, u_mean=2.0, u_spread=1.0, phi_e_mean=(2.0,), phi_e_spread=(0.0,)
    )
    assert Statistics.from_dict(asdict(found)) == found


def test_no_training_cases_means_no_statistics():
    assert combine_moments([], cases=0) is None


def test_incomplete_statistics_are_refused():
    with pytest.raises(LibraryError, match="statistics.json has no 'u_mean'"):
        Statistics.from_dict({"cases": 3})
