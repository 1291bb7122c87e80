"""Predictions of the surrogate that comes with fwdecg, on cases that no library here contains."""

import numpy as np
import pytest

import fwdecg


@pytest.fixture(scope="module")
def surrogate():
    return fwdecg.load_surrogate()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("condition", "number", "case_id", "least"),
    [("healthy", 200, 1000, 0.995), ("fibrosis", 400, 1002, 0.99)],
)
def test_unseen_cases_are_predicted(condition, number, case_id, least, surrogate):
    case = fwdecg.simulate(condition, number=number)
    assert case.case_id == case_id
    true = case.phi_e_mm_per_ms
    predicted = surrogate.predict(case.u)[0]
    assert predicted.shape == true.shape
    assert 1 - np.square(predicted - true).sum() / np.square(true - true.mean()).sum() > least
    frames = len(case.u)
    assert surrogate.attend(case.u).shape == (1, frames, frames)
