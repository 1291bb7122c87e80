"""z-scores: values by hand, the inverse, and invalid statistics."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.errors import LibraryError
from fwdecg.model.standardise import Standardisation, ZScore

GOOD = {"u_mean": 0.2, "u_spread": 0.3, "phi_e_mean": (1.0, -1.0), "phi_e_spread": (2.0, 4.0)}


def test_scores_by_hand() -> None:
    score = ZScore(torch.tensor([1.0, -1.0]), torch.tensor([2.0, 4.0]))
    values = torch.tensor([[[3.0, 3.0], [1.0, -5.0]]])
    expected = torch.tensor([[[1.0, 1.0], [0.0, -1.0]]])
    torch.testing.assert_close(score(values), expected)


def test_scalar_statistics_apply_to_any_shape_in_full_precision() -> None:
    score = ZScore(torch.tensor(0.5), torch.tensor(0.25))
    scores = score(torch.full((2, 3, 4, 5), 0.75, dtype=torch.float16))
    torch.testing.assert_close(scores, torch.ones(2, 3, 4, 5))


@given(
    value=st.floats(-100, 100, width=32),
    mean=st.floats(-10, 10, width=32),
    spread=st.floats(0.125, 10, width=32),
)
def test_inverse_undoes_forward(value: float, mean: float, spread: float) -> None:
    score = ZScore(torch.tensor(mean), torch.tensor(spread))
    values = torch.tensor([value])
    # A few rounding errors of 2^-24 relative to |value| + |mean|.
    tolerance = 4 * 2**-24 * (abs(value) + abs(mean)) + 1e-30
    back = score.inverse(score(values))
    torch.testing.assert_close(back, values, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"u_spread": 0.0}, "standard deviation is 0: must be above 0"),
        ({"phi_e_spread": (2.0, -4.0)}, "standard deviation is -4: must be above 0"),
        ({"phi_e_mean": (1.0, float("nan"))}, "nan: must be finite"),
        ({"phi_e_mean": (1.0,)}, "1 means and 2 standard deviations"),
    ],
)
def test_invalid_statistics_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(LibraryError, match=words):
        Standardisation(**(GOOD | change))  # type: ignore[arg-type]
