"""The sinusoidal embedding: values by hand and the norm that each frame shares."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.model.time_embedding import sinusoidal_embedding


def test_by_hand() -> None:
    embedding = sinusoidal_embedding(3, 4, like=torch.zeros((), dtype=torch.float64))
    angles = [2.0, 2.0 / 100.0]  # frame 2 at frequencies 1 and 10000^(-1/2)
    expected = [*map(math.sin, angles), *map(math.cos, angles)]
    torch.testing.assert_close(embedding[2], torch.tensor(expected, dtype=torch.float64))
    assert embedding[0].tolist() == [0.0, 0.0, 1.0, 1.0]


@given(frames=st.integers(0, 300), half=st.integers(0, 16))
def test_every_frame_has_the_same_norm(frames: int, half: int) -> None:
    embedding = sinusoidal_embedding(frames, 2 * half, like=torch.zeros(()))
    assert embedding.shape == (frames, 2 * half)
    # half pairs of sin^2 + cos^2, each rounded to 2^-24 a few times
    torch.testing.assert_close(
        embedding.square().sum(1), torch.full((frames,), float(half)), rtol=1e-5, atol=0
    )
