"""The hybrid loss, Eq. 4-7: closed forms of the entropy, hand-computed values, gradients."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fwdecg.training.loss import hybrid_loss, spectral_entropy, spectral_weight
from fwdecg.training.training_config import LossConfig

FRAMES = 64


def _tone(cycles: int, phase: float = 0.3) -> Tensor:
    frame = torch.arange(FRAMES, dtype=torch.float64)
    return torch.cos(2 * math.pi * cycles * frame / FRAMES + phase)


# Eq. 4's epsilon of 1e-8 shifts each of up to 33 terms by at most 1e-8 / ln 2.
TOLERANCE = 1e-6


@pytest.mark.parametrize(
    ("signal", "bits"),
    [
        (_tone(5), 0.0),
        (_tone(5) + _tone(9, phase=1.0), 1.0),
        (_tone(3) + _tone(4) + _tone(10) + _tone(20), 2.0),
        (torch.ones(FRAMES, dtype=torch.float64), 0.0),
        (torch.eye(FRAMES, dtype=torch.float64)[7], math.log2(FRAMES // 2 + 1)),
        (torch.zeros(FRAMES, dtype=torch.float64), 0.0),
    ],
    ids=["tone", "two tones", "four tones", "constant", "impulse", "zero"],
)
def test_entropy_has_its_closed_form(signal: Tensor, bits: float) -> None:
    torch.testing.assert_close(spectral_entropy(signal).item(), bits, rtol=0, atol=TOLERANCE)


@given(
    seed=st.integers(0, 2**16),
    frames=st.integers(2, 80),
    scale=st.floats(0.01, 100),
    shift=st.integers(0, 80),
)
def test_entropy_is_bounded_and_invariant_to_scale_and_shift(
    seed: int, frames: int, scale: float, shift: int
) -> None:
    signal = torch.randn(frames, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    signal[0] += 1.0  # avoids a power near 0
    entropy = spectral_entropy(signal)
    assert -TOLERANCE < entropy < math.log2(frames // 2 + 1) + TOLERANCE
    torch.testing.assert_close(spectral_entropy(scale * signal.roll(shift)), entropy)


def loss_of(prediction: Tensor, target: Tensor, omega: float = 1.0, **weights: float) -> Tensor:
    config = LossConfig(**({"variance_floor": 0.0, "spectral_weight": 0.0} | weights))
    return hybrid_loss(prediction, target, config=config, omega=omega)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-6])
def test_gradients_are_finite_even_for_signals_without_power(scale: float) -> None:
    prediction = (scale * torch.randn(2, FRAMES, 1)).requires_grad_()
    loss_of(prediction, torch.randn(2, FRAMES, 1), spectral_weight=1.0).sum().backward()
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()


def test_gradient_agrees_with_finite_differences() -> None:
    signal = torch.randn(2, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(spectral_entropy, (signal,))


def test_omega_falls_along_a_cosine() -> None:
    omega = [spectral_weight(epoch, 200) for epoch in (0, 50, 100, 200)]
    assert omega == pytest.approx([1.0, 0.5 * (1 + math.sqrt(0.5)), 0.5, 0.0], abs=1e-15)


def test_huber_loss_by_hand() -> None:
    target = torch.zeros(2, 4, 1)
    prediction = torch.tensor([[0.5, -0.5, 0.0, 3.0], [0.0, 0.0, 0.0, 0.0]])[..., None]
    # delta 1: 0.5 x^2 up to |x| = 1, |x| - 0.5 above; delta 2: 2 |x| - 2 above |x| = 2
    for delta, of_three in ((1.0, 2.5), (2.0, 4.0)):
        expected = torch.tensor([(0.125 + 0.125 + 0.0 + of_three) / 4, 0.0])
        torch.testing.assert_close(loss_of(prediction, target, huber_delta=delta), expected)


def test_each_electrode_is_weighted_by_the_variance_of_its_target() -> None:
    target = torch.tensor([[1.0, 0.1], [-1.0, -0.1]])[None]  # variances 1 and 0.01
    prediction = target + torch.tensor([0.2, 0.02])
    # Huber 0.02 and 0.0002, times 1.05 / 1.05 and 1.05 / 0.06.
    expected = torch.tensor([(0.02 + 0.0035) / 2])
    torch.testing.assert_close(loss_of(prediction, target, variance_floor=0.05), expected)


def test_total_loss_by_hand() -> None:
    one, two = _tone(5), _tone(5) + _tone(9)
    target = torch.stack((torch.stack((one, one), 1), torch.stack((two, two), 1)))
    prediction = torch.stack((torch.stack((one, two), 1), torch.stack((two, two), 1)))
    # In case 0 the entropies differ by one bit at one of two electrodes, in case 1 not at all.
    with_term, without = (
        loss_of(prediction, target, omega, spectral_weight=3.0) for omega in (0.5, 0.0)
    )
    expected = torch.tensor([3.0 * 0.5 * (0.0 + 1.0) / 2, 0.0], dtype=torch.float64)
    torch.testing.assert_close(with_term - without, expected, rtol=0, atol=1e-5)


def test_the_loss_of_a_case_does_not_depend_on_others() -> None:
    prediction, target = torch.randn(3, 20, 2), torch.randn(3, 20, 2)
    weights = {"variance_floor": 0.01, "spectral_weight": 0.1}
    alone = torch.cat(
        [loss_of(prediction[i : i + 1], target[i : i + 1], **weights) for i in range(3)]
    )
    torch.testing.assert_close(loss_of(prediction, target, **weights), alone)
