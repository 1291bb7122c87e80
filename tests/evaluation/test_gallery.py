"""Which cases an evaluation shows, and the unit of their ECGs."""

import numpy as np

from fwdecg.evaluation.gallery import cases_of_rank, in_z_scores
from fwdecg.library.statistics import Statistics
from fwdecg.pictures.ecg_overlays import EcgPair


def pair(r2: float, condition: str = "healthy") -> EcgPair:
    return EcgPair(
        case_id=round(100 * r2),
        condition=condition,
        r2=r2,
        true=np.array([[0.5, 0.75, 1.0]], np.float32),
        predicted=np.array([[0.25, 0.5, 0.5]], np.float32),
    )


def test_the_best_median_and_worst_case_of_each_condition():
    pairs = [pair(r2) for r2 in (0.5, 0.9, 0.1, 0.7)] + [pair(0.3, "combined")]
    chosen = {
        rank: [each.r2 for each in cases_of_rank(pairs, rank)]
        for rank in ("best", "median", "worst")
    }
    assert chosen == {"best": [0.9, 0.3], "median": [0.5, 0.3], "worst": [0.1, 0.3]}


def test_overlays_are_in_z_scores():
    statistics = Statistics(
        cases=1, u_mean=0.0, u_spread=1.0, phi_e_mean=(0.5,), phi_e_spread=(0.25,)
    )
    shown = in_z_scores(pair(0.9), statistics)
    np.testing.assert_allclose(shown.true, [[0, 1, 2]])
    np.testing.assert_allclose(shown.predicted, [[-1, 0, 0]])
