"""Variants against the full network, computed by hand: means over seeds, groups, correction."""

import pyarrow as pa
import pytest

from fwdecg.ablation.comparison import compare_variants

CONDITIONS = ("healthy", "fibrosis", "fibrosis")


def _run(variant: str, *r2: float) -> pa.Table:
    """Scores of one training."""
    cases = len(r2)
    return pa.table(
        {
            "case_id": range(cases),
            "condition": CONDITIONS[:cases],
            "predictor": [variant] * cases,
            "r2": r2,
            "mae": [1 - value for value in r2],
        }
    )


RUNS = [
    _run("full", 0.9, 0.8, 0.7),
    _run("full", 0.7, 0.8, 0.9),
    _run("less", 0.5, 0.6, 0.9),
    _run("less", 0.5, 0.4, 0.7),
    _run("same", 0.9, 0.8, 0.7),
    _run("same", 0.7, 0.8, 0.9),
]


@pytest.fixture
def comparison():
    return compare_variants(RUNS, "r2")


def test_means_over_seeds_and_cases(comparison):
    assert list(comparison.summaries) == ["full", "less", "same"]
    assert comparison.groups == {"healthy": 1, "fibrosis": 2, "all": 3}
    less = comparison.summaries["less"]["all"]
    # Cases 0.5, 0.5 and 0.8. Seeds 2.0 / 3 and 1.6 / 3: standard deviation 0.4 / 3 / sqrt(2).
    assert (less.cases, less.mean, less.median) == (3, pytest.approx(0.6), pytest.approx(0.5))
    assert less.seed_spread == pytest.approx(0.4 / 3 / 2**0.5)
    assert comparison.summaries["full"]["healthy"].mean == pytest.approx(0.8)


def test_differences_are_paired(comparison):
    against = comparison.summaries["less"]["all"].against
    assert against is not None
    # Differences -0.3, -0.3 and 0: two losses of equal rank.
    assert against.difference.mean == pytest.approx(-0.2)
    assert against.difference.effect_size == pytest.approx(-1.0)
    assert against.difference.p_value == pytest.approx(0.5)
    assert against.p_corrected == pytest.approx(1.0)  # two variants
    assert comparison.summaries["full"]["all"].against is None
    same = comparison.summaries["same"]["fibrosis"].against
    assert same is not None
    assert (same.difference.mean, same.difference.p_value) == (0.0, 1.0)


def test_a_group_has_its_own_cases(comparison):
    healthy = comparison.summaries["less"]["healthy"]
    assert (healthy.cases, healthy.interval) == (1, None)
    assert healthy.against is not None
    assert healthy.against.difference.mean == pytest.approx(-0.3)


def test_the_error_is_compared_as_well():
    entry = compare_variants(RUNS, "mae").summaries["less"]["all"]
    assert entry.mean == pytest.approx(0.4)
    assert entry.against is not None
    assert entry.against.difference.mean == pytest.approx(0.2)


def test_a_single_seed_has_no_standard_deviation():
    entry = compare_variants(RUNS[::2], "r2").summaries["less"]["all"]
    assert entry.seed_spread is None


def test_runs_with_different_cases_are_not_compared():
    with pytest.raises(AssertionError, match="the same cases"):
        compare_variants([RUNS[0], _run("less", 0.5)], "r2")
