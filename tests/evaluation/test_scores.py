"""Scores against values computed by hand, in z-scores of each electrode."""

import numpy as np
import pytest

from fwdecg.evaluation.scores import CaseScore, score_cases, scores_table, z_scored
from fwdecg.library.labelled_cases import LabelledCases
from fwdecg.library.statistics import Statistics

STATISTICS = Statistics(
    cases=1, u_mean=0.0, u_spread=1.0, phi_e_mean=(10.0, 0.0), phi_e_spread=(2.0, 0.5)
)
TRUE = np.array([[[8, 10, 12], [0, 0, 3]], [[10, 12, 10], [1, 0, 1]]], dtype=np.float32)
PREDICTED = np.array([[[8, 10, 14], [0, 1.5, 3]], [[10, 12, 10], [1, 0, 1]]], dtype=np.float32)
CASES = LabelledCases(
    case_id=np.array([5, 9]),
    condition=("healthy", "combined"),
    split=("test", "test"),
    u=np.zeros((2, 3, 4, 4), np.float16),
    phi_e=TRUE,
    diffusivity_mm2_per_ms=np.ones((2, 4, 4), np.float32),
    conducting_fraction=np.ones((2, 4, 4)),
    bulk_diffusivity_mm2_per_ms=np.ones(2),
    electrodes_mm=np.ones((2, 2, 3)),
)


def test_each_electrode_has_its_own_z_scores():
    np.testing.assert_allclose(z_scored(TRUE, STATISTICS)[0], [[-1, 0, 1], [0, 0, 6]])


def test_scores_by_hand():
    first, second = score_cases("guess", PREDICTED, CASES, STATISTICS)
    # Errors in z-scores: 1 in one frame of the first electrode, 3 in one of the second. Sums of
    # squares about the means of (-1, 0, 1) and (0, 0, 6): 2 and 24.
    assert first.r2 == pytest.approx((1 - 1 / 2 + 1 - 9 / 24) / 2)
    assert first.mae == pytest.approx((1 + 3) / 6)
    assert first.rmse == pytest.approx((np.sqrt(1 / 3) + np.sqrt(9 / 3)) / 2)
    assert (first.case_id, first.condition, first.predictor) == (5, "healthy", "guess")
    assert second == CaseScore(
        case_id=9,
        condition="combined",
        split="test",
        predictor="guess",
        r2=1.0,
        mae=0.0,
        rmse=0.0,
        spectral_entropy_error=0.0,
    )


def test_the_table_of_scores():
    scores = score_cases("guess", PREDICTED, CASES, STATISTICS)
    table = scores_table(scores)
    assert table["case_id"].to_pylist() == [5, 9]
    assert table["predictor"].to_pylist() == ["guess", "guess"]
    assert table["mae"].to_pylist() == pytest.approx([4 / 6, 0])
    assert table.schema.field("mae").metadata == {b"unit": b"z-score"}
