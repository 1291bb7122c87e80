"""Paired tests against values computed by hand and by scipy, and their symmetries."""

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
    mean_interval,
    rank_biserial,
    signed_rank_p,
    smallest_p,
    stars,
)

# float32 values, whose squares and sums do not overflow.
values = st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=9).map(np.array)
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def test_signed_rank_by_hand():
    # The ranks are 1, 2, 3 and 4; the second is a loss, so the ranks of losses sum to 2. Of the 16
    # equally likely sign patterns, 3 have a sum of at most 2 (none, {1}, {2}); two-sided 6 of 16.
    assert signed_rank_p(np.array([0.1, -0.2, 0.3, 0.4])) == pytest.approx(6 / 16)


def _signed_rank_by_enumeration(differences: np.ndarray) -> float:
    """Fraction of sign patterns with a signed rank sum at least as extreme as the observed one."""
    ranks = stats.rankdata(np.abs(differences))
    signs = np.array(list(itertools.product((-1, 1), repeat=len(ranks))))
    return float((np.abs(signs @ ranks) >= abs(np.sign(differences) @ ranks)).mean())


@pytest.mark.parametrize("cases", [1, 2, 5, 9])
def test_signed_rank_by_enumeration(cases):
    differences = np.random.default_rng(cases).normal(0.5, size=cases)
    expected = _signed_rank_by_enumeration(differences)
    assert signed_rank_p(differences) == pytest.approx(expected)


@pytest.mark.parametrize("cases", [1, 2, 6, 30])
def test_equal_signs_have_the_smallest_p(cases):
    differences = np.random.default_rng(0).random(cases) + 0.1
    assert signed_rank_p(differences) == pytest.approx(smallest_p(cases))


def test_equal_networks_have_no_difference():
    same = PairedDifference.between(np.array([0.9, 0.8, 0.7]), np.array([0.9, 0.8, 0.7]))
    assert same == PairedDifference(
        cases=3, mean=0.0, interval=Interval(low=0.0, high=0.0), effect_size=0.0, p_value=1.0
    )


def test_a_single_case_is_never_significant():
    one = PairedDifference.between(np.array([0.5]), np.array([0.9]))
    assert one.mean == pytest.approx(-0.4)
    assert (one.interval, one.p_value, one.effect_size) == (None, 1.0, -1.0)


def test_rank_biserial_by_hand():
    # Ranks of 0.1, 0.3, 0.3, 0.6: 1, 2.5, 2.5, 4. Gains 1 + 2.5 + 4, losses 2.5, out of 10.
    assert rank_biserial(np.array([0.1, -0.3, 0.3, 0.6, 0.0])) == pytest.approx(0.5)


@given(values=values)
@settings(max_examples=30)
def test_swapping_the_networks_changes_the_sign(values):
    forward, backward = rank_biserial(values), rank_biserial(-values)
    assert -1 <= forward == -backward <= 1
    assert signed_rank_p(values) == pytest.approx(signed_rank_p(-values))


def test_the_interval_of_normal_values_matches_the_closed_form():
    sample = np.random.default_rng(1).normal(2.0, 3.0, size=400)
    interval = mean_interval(sample)
    assert interval is not None
    half = 1.96 * sample.std(ddof=1) / 20
    # With 9999 resamples, the 2.5 % quantiles are known to about 3 % of the half width.
    assert interval.low == pytest.approx(sample.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(sample.mean() + half, abs=0.1 * half)


@given(values=values)
@settings(max_examples=30)
def test_the_interval_lies_within_the_range_of_the_values(values):
    interval = mean_interval(values)
    if len(values) == 1:
        assert interval is None
        return
    slack = 1e-9 * np.abs(values).max()
    assert values.min() - slack <= interval.low <= interval.high <= values.max() + slack


@pytest.mark.parametrize("high", [0.7, np.nextafter(0.7, 1)])
def test_the_interval_of_values_that_are_equal_up_to_rounding_is_finite(high):
    assert mean_interval(np.array([0.7, high, 0.7, 0.7])) == Interval(low=0.7, high=high)


def test_holm_by_hand():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04. The last is raised
    # to 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@given(p_values=p_values)
def test_holm_lies_between_no_correction_and_bonferroni_and_keeps_the_order(p_values):
    corrected = holm(p_values)
    for p, higher in zip(p_values, corrected, strict=True):
        assert p <= higher <= min(1.0, len(p_values) * p)
    order = np.argsort(p_values)
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


@pytest.mark.parametrize(
    ("p", "expected"), [(0.0009, "***"), (0.001, "**"), (0.01, "*"), (0.049, "*"), (0.05, "")]
)
def test_stars(p, expected):
    assert stars(p) == expected
