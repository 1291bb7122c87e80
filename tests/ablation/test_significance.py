"""Paired tests against values by hand and against scipy, and the laws that they keep."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fwdecg.ablation.significance import (
    Interval,
    PairedDifference,
    holm,
    mark,
    mean_interval,
    rank_biserial,
    signed_rank_p,
    smallest_p,
)

# Of float32, so that no square or sum overflows.
values = st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=9).map(np.array)
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def test_signed_rank_by_hand() -> None:
    # Ranks 1, 2, 3, 4 with the sign of the second turned: ranks of losses sum to 2. Of 16 equally
    # likely sign patterns 3 have a sum of 2 or less (none, {1}, {2}); two-sided 6 of 16.
    assert signed_rank_p(np.array([0.1, -0.2, 0.3, 0.4])) == pytest.approx(6 / 16)


def _signed_rank_by_enumeration(differences: np.ndarray) -> float:
    """Share of all sign patterns whose sum of ranks is as far from even as the one found."""
    ranks = stats.rankdata(np.abs(differences))
    signs = np.array(list(itertools.product((-1, 1), repeat=len(ranks))))
    return float((np.abs(signs @ ranks) >= abs(np.sign(differences) @ ranks)).mean())


@pytest.mark.parametrize("cases", [1, 2, 5, 9])
def test_signed_rank_by_enumeration_of_all_signs(cases: int) -> None:
    differences = np.random.default_rng(cases).normal(0.5, size=cases)
    expected = _signed_rank_by_enumeration(differences)
    assert signed_rank_p(differences) == pytest.approx(expected)


@pytest.mark.parametrize("cases", [1, 2, 6, 30])
def test_the_smallest_p_is_that_of_equal_signs(cases: int) -> None:
    differences = np.random.default_rng(0).random(cases) + 0.1
    assert signed_rank_p(differences) == pytest.approx(smallest_p(cases))


def test_equal_networks_do_not_differ() -> None:
    same = PairedDifference.between(np.array([0.9, 0.8, 0.7]), np.array([0.9, 0.8, 0.7]))
    assert same == PairedDifference(
        cases=3, mean=0.0, interval=Interval(low=0.0, high=0.0), effect_size=0.0, p_value=1.0
    )


def test_a_single_case_proves_nothing() -> None:
    one = PairedDifference.between(np.array([0.5]), np.array([0.9]))
    assert one.mean == pytest.approx(-0.4)
    assert (one.interval, one.p_value, one.effect_size) == (None, 1.0, -1.0)


def test_rank_biserial_by_hand() -> None:
    # Ranks of 0.1, 0.3, 0.3, 0.6: 1, 2.5, 2.5, 4. Gains 1 + 2.5 + 4, losses 2.5, out of 10.
    assert rank_biserial(np.array([0.1, -0.3, 0.3, 0.6, 0.0])) == pytest.approx(0.5)


@given(values=values)
@settings(max_examples=50)
def test_turned_around_the_difference_is_the_opposite(values: np.ndarray) -> None:
    forth, back = rank_biserial(values), rank_biserial(-values)
    assert -1 <= forth == -back <= 1
    assert signed_rank_p(values) == pytest.approx(signed_rank_p(-values))


def test_the_interval_is_that_of_scipy() -> None:
    sample = np.random.default_rng(3).exponential(size=12)
    found = stats.bootstrap((sample,), np.mean, rng=np.random.default_rng(0)).confidence_interval
    assert mean_interval(sample) == Interval(low=found.low, high=found.high)


def test_the_interval_of_many_normal_values_is_the_textbooks() -> None:
    sample = np.random.default_rng(1).normal(2.0, 3.0, size=400)
    interval = mean_interval(sample)
    assert interval is not None
    half = 1.96 * sample.std(ddof=1) / 20
    # The ends of 9999 resamples are quantiles at 2.5 %, known to about 3 % of the half width.
    assert interval.low == pytest.approx(sample.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(sample.mean() + half, abs=0.1 * half)


@given(values=values)
@settings(max_examples=30)
def test_the_interval_lies_among_the_values(values: np.ndarray) -> None:
    interval = mean_interval(values)
    if len(values) == 1:
        assert interval is None
        return
    slack = 1e-9 * np.abs(values).max()
    assert values.min() - slack <= interval.low <= interval.high <= values.max() + slack


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04, raised to 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@given(p_values=p_values)
def test_holm_corrects_upwards_within_bonferroni_and_keeps_the_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    for p, higher in zip(p_values, corrected, strict=True):
        assert p <= higher <= min(1.0, len(p_values) * p)
    order = np.argsort(p_values)
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


@pytest.mark.parametrize(
    ("p", "stars"), [(0.0009, "***"), (0.001, "**"), (0.01, "*"), (0.049, "*"), (0.05, "")]
)
def test_marks(p: float, stars: str) -> None:
    assert mark(p) == stars
