"""Summaries and text of a report against values computed by hand."""

import math

import pytest

from fwdecg.evaluation.report import (
    MetricSummary,
    PredictorReport,
    ScoreSummary,
    aligned_lines,
    report_text,
    shifts_text,
    summarise,
    verdict,
)
from fwdecg.evaluation.scores import CaseScore


def _score(r2: float, condition: str = "healthy") -> CaseScore:
    return CaseScore(
        case_id=0,
        condition=condition,
        split="test",
        predictor="p",
        r2=r2,
        mae=1 - r2,
        rmse=2 - 2 * r2,
        spectral_entropy_error=0.5,
    )


def _report(name: str, *r2: float, knows_tissue: bool = False) -> PredictorReport:
    conditions = ("healthy", "gap_junction", "fibrosis", "combined")
    scores = [_score(value, conditions[place % 4]) for place, value in enumerate(r2)]
    return PredictorReport(
        name=name, knows_tissue=knows_tissue, detail="detail", summaries=summarise(scores)
    )


def test_summary_by_hand():
    summary = ScoreSummary.from_scores([_score(0.9), _score(0.6), _score(0.3)])
    # Deviations 0.3, 0, -0.3: sample variance 0.18 / 2.
    assert summary.cases == 3
    assert summary.r2.mean == pytest.approx(0.6)
    assert summary.r2.spread == pytest.approx(0.3)
    assert summary.r2.worst == 0.3
    assert ScoreSummary.from_scores([_score(value) for value in (0.9, 0.8, -3.0)]).r2.median == 0.8
    assert summary.mae.worst == pytest.approx(0.7)
    assert summary.rmse.mean == pytest.approx(0.8)
    assert summary.spectral_entropy_error == MetricSummary(
        mean=0.5, spread=0.0, median=0.5, worst=0.5
    )


def test_one_case_has_no_standard_deviation():
    assert ScoreSummary.from_scores([_score(0.5)]).r2 == MetricSummary(
        mean=0.5, spread=None, median=0.5, worst=0.5
    )


def test_conditions_come_in_the_order_of_the_paper_and_all_cases_last():
    scores = [_score(0.1, "combined"), _score(0.5, "healthy"), _score(0.3, "combined")]
    summaries = summarise(scores)
    assert list(summaries) == ["healthy", "combined", "all"]
    assert summaries["combined"].r2.mean == pytest.approx(0.2)
    assert summaries["all"].r2.mean == pytest.approx(0.3)


EXACT = _report("exact operator", 1, 1, 1, 1, knows_tissue=True)
RIDGE = _report("ridge regression", 0.5, 0.8, 0.6, 0.5)


@pytest.mark.parametrize(
    ("r2", "sentence"),
    [
        (
            (0.9, 0.9, 0.9, 0.9),
            "The network beats every baseline that does not know D; the best of them is ridge "
            "regression (R2 0.900 against 0.600).",
        ),
        (
            (0.9, 0.7, 0.9, 0.5),
            "The network beats every baseline that does not know D; the best of them is ridge "
            "regression (R2 0.750 against 0.600). It is behind one of them in gap_junction and "
            "combined.",
        ),
        (
            (0.5, 0.8, 0.6, 0.5),
            "The network does NOT beat every baseline that does not know D: ridge regression is at "
            "least as good (R2 0.600 against 0.600).",
        ),
    ],
)
def test_the_verdict(r2, sentence):
    assert verdict(_report("network", *r2), [EXACT, RIDGE]) == sentence


@pytest.mark.parametrize("worst", [0.2, -9.99, -12.5, -1234.5])
def test_the_tables(worst):
    network = _report("network", *[0.987654] * 4, *[0.9] * 4)
    nominal = _report("nominal operator", *[worst] * 4, *[0.1] * 4)
    lines = report_text(network, [EXACT, RIDGE, nominal]).splitlines()
    assert max(map(len, lines)) <= 100
    head, row = lines[3], lines[4]
    assert head.split() == ["R2", "healthy", "gap_junction", "fibrosis", "combined", "all"]
    spread = 0.087654 / math.sqrt(2)
    assert row.split("  ")[0] == "network"
    assert f"0.944 ± {spread:.3f}" in row
    assert any(line.startswith("exact operator *") for line in lines)
    assert "* uses D and the patches of each case; the others use only its maps." in lines
    for first in (3, 9, 15):  # R2, its median, MAE
        table = lines[first : first + 5]
        assert len({len(line) for line in table}) == 1  # right-aligned columns
    assert lines[9].split()[:3] == ["median", "R2", "healthy"]
    assert lines[10].split() == ["network", *["0.944"] * 5]


def test_a_condition_without_cases():
    line = report_text(_report("network", 0.5), [_report("ridge", 0.4)]).splitlines()[4]
    assert line.split() == ["network", "0.500", "-", "-", "-", "0.500"]


SHIFTED = {
    "diffusivity": [_report("network", 0.4), EXACT, _report("ridge regression", 0.7)],
    "stimulus": [_report("network", 0.8, 0.9), EXACT, _report("ridge regression", 0.1, 0.2)],
}


def test_the_tables_by_shift():
    text = shifts_text([_report("network", 0.9, 0.9), EXACT, RIDGE], SHIFTED)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert "Cases: 2 regular, 1 diffusivity, 2 stimulus." in lines
    assert "network           0.900 ± 0.000          0.400  0.850 ± 0.071" in lines
    sentences = " ".join(lines)
    assert (
        "diffusivity: mean R2 -0.500 against regular cases. The network does NOT beat every"
        in sentences
    )
    assert "stimulus: mean R2 -0.050 against regular cases. The network beats every" in sentences


def test_the_first_column_is_left_aligned_and_the_others_right_aligned():
    lines = aligned_lines([["R2", "healthy", "all"], ["network", "0.9", "-12.5"], ["x", "1", ""]])
    assert lines == [
        "R2       healthy    all",
        "network      0.9  -12.5",
        "x              1",
    ]
