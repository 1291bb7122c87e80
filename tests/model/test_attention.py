"""Additive attention equals Eq. 2-3; the time embedding equals its definition."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fwdecg.model.attention import AdditiveAttention, NoAttention, sinusoidal_embedding


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**16), batch=st.integers(1, 3), frames=st.integers(1, 9))
def test_equals_the_printed_equations(seed: int, batch: int, frames: int) -> None:
    torch.manual_seed(seed)
    attention = AdditiveAttention(
        latent_size=3, time_embedding_size=2, state_size=4, attention_size=5
    )
    state, latents = torch.randn(batch, 4), torch.randn(batch, frames, 3)
    times = torch.randn(frames, 2)
    context, weights = attention(state, attention.keys(latents, times), latents)
    for case in range(batch):
        score = [
            attention.V_a.weight[0]
            @ torch.tanh(
                attention.W_a.weight @ state[case]
                + attention.U_a.weight @ torch.cat((latents[case, i], times[i]))
            )
            for i in range(frames)
        ]
        alpha = torch.softmax(torch.stack(score), dim=0)
        expected = torch.stack([alpha[i] * latents[case, i] for i in range(frames)]).sum(0)
        # A few rounding errors of values near 1.
        torch.testing.assert_close(weights[case], alpha, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(context[case], expected, rtol=1e-5, atol=1e-6)


def test_no_attention_gives_an_empty_context() -> None:
    attention, latents = NoAttention(), torch.randn(2, 6, 3)
    keys = attention.keys(latents, torch.randn(6, 2))
    context, weights = attention(torch.randn(2, 4), keys, latents)
    assert context.shape == (2, attention.context_size) == (2, 0)
    assert torch.equal(weights, torch.zeros(2, 6))
    assert list(attention.parameters()) == []


def test_time_embedding_by_hand() -> None:
    embedding = sinusoidal_embedding(3, 4, like=torch.zeros((), dtype=torch.float64))
    angles = [2.0, 2.0 / 100.0]  # frame 2 at frequencies 1 and 10000^(-1/2)
    expected = [*map(math.sin, angles), *map(math.cos, angles)]
    torch.testing.assert_close(embedding[2], torch.tensor(expected, dtype=torch.float64))
    assert embedding[0].tolist() == [0.0, 0.0, 1.0, 1.0]


@given(frames=st.integers(0, 300), half=st.integers(0, 16))
def test_time_embeddings_of_all_frames_have_the_same_norm(frames: int, half: int) -> None:
    embedding = sinusoidal_embedding(frames, 2 * half, like=torch.zeros(()))
    assert embedding.shape == (frames, 2 * half)
    # `half` pairs of sin^2 + cos^2, each with a few rounding errors of 2^-24.
    torch.testing.assert_close(
        embedding.square().sum(1), torch.full((frames,), float(half)), rtol=1e-5, atol=0
    )
