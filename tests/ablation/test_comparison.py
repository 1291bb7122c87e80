"""Variants against the whole network, by hand: means over seeds, columns, correction."""

import json

import pytest

from fwdecg.ablation.comparison import Comparison, RunScores, compare_variants
from fwdecg.evaluation.scores import CaseScore

CONDITIONS = ("healthy", "fibrosis", "fibrosis")


def _run(variant: str, seed: int, *r2: float) -> RunScores:
    scores = [
        CaseScore(
            case_id=place,
            condition=CONDITIONS[place],
            split="test",
            predictor=variant,
            r2=value,
            mae=1 - value,
            rmse=0.0,
            spectral_entropy_error=0.0,
        )
        for place, value in enumerate(r2)
    ]
    return RunScores(variant=variant, seed=seed, scores=scores)


RUNS = [
    _run("full", 1, 0.9, 0.8, 0.7),
    _run("full", 2, 0.7, 0.8, 0.9),
    _run("less", 1, 0.5, 0.6, 0.9),
    _run("less", 2, 0.5, 0.4, 0.7),
    _run("same", 1, 0.9, 0.8, 0.7),
    _run("same", 2, 0.7, 0.8, 0.9),
]


@pytest.fixture
def comparison() -> Comparison:
    return compare_variants(RUNS, "r2")


def test_means_over_seeds_and_cases(comparison: Comparison) -> None:
    assert list(comparison.entries) == ["full", "less", "same"]
    assert comparison.columns == ["healthy", "fibrosis", "all"]
    less = comparison.entries["less"]["all"]
    # Cases 0.5, 0.5, 0.8; seeds 2.0 / 3 and 1.6 / 3, whose sample spread is 0.4 / 3 / sqrt(2).
    assert (less.cases, less.mean, less.median) == (3, pytest.approx(0.6), pytest.approx(0.5))
    assert less.seed_spread == pytest.approx(0.4 / 3 / 2**0.5)
    assert comparison.entries["full"]["healthy"].mean == pytest.approx(0.8)


def test_differences_are_paired(comparison: Comparison) -> None:
    against = comparison.entries["less"]["all"].against
    assert against is not None
    # -0.3, -0.3, 0: two of equal rank, both losses.
    assert against.difference.mean == pytest.approx(-0.2)
    assert against.difference.effect_size == pytest.approx(-1.0)
    assert against.difference.p_value == pytest.approx(0.5)
    assert against.p_corrected == pytest.approx(1.0)  # two variants
    assert comparison.entries["full"]["all"].against is None
    same = comparison.entries["same"]["fibrosis"].against
    assert same is not None
    assert (same.difference.mean, same.difference.p_value) == (0.0, 1.0)


def test_a_column_has_its_own_cases(comparison: Comparison) -> None:
    healthy = comparison.entries["less"]["healthy"]
    assert (healthy.cases, healthy.interval) == (1, None)
    assert healthy.against is not None
    assert healthy.against.difference.mean == pytest.approx(-0.3)


def test_the_error_is_another_metric() -> None:
    entry = compare_variants(RUNS, "mae").entries["less"]["all"]
    assert entry.mean == pytest.approx(0.4)
    assert entry.against is not None
    assert entry.against.difference.mean == pytest.approx(0.2)


def test_a_single_seed_has_no_spread() -> None:
    entry = compare_variants(RUNS[::2], "r2").entries["less"]["all"]
    assert entry.seed_spread is None


def test_it_is_valid_json(comparison: Comparison) -> None:
    held = json.loads(json.dumps(comparison.as_dict(), allow_nan=False))
    assert held["less"]["all"]["against"]["difference"]["cases"] == 3
    assert held["full"]["all"]["against"] is None


def test_runs_of_other_cases_are_no_pairs() -> None:
    with pytest.raises(AssertionError, match="the same cases"):
        compare_variants([RUNS[0], _run("less", 1, 0.5)], "r2")
