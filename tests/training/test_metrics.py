"""Metrics, pinned by hand-computed values and by their invariants."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fwdecg.training.metrics import mae, r2, rmse, spectral_entropy_error

Metric = Callable[[Tensor, Tensor], Tensor]

TARGET = torch.tensor([[[1.0, 0.0], [2.0, 0.0], [3.0, 6.0]]])  # one case, 3 frames, 2 electrodes
PREDICTION = torch.tensor([[[1.0, 0.0], [2.0, 3.0], [4.0, 6.0]]])


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        # Residual squares 1 and 9; squares about the means 2 and 3, 2 * 4 + 16 = 24.
        (r2, (1 - 1 / 2 + 1 - 9 / 24) / 2),
        (mae, (1 + 3) / 6),
        (rmse, (math.sqrt(1 / 3) + math.sqrt(9 / 3)) / 2),
    ],
)
def test_metrics_by_hand(metric: Metric, value: float) -> None:
    expected = torch.tensor([value], dtype=torch.float64)
    torch.testing.assert_close(metric(PREDICTION, TARGET), expected)


def test_spectral_entropy_error_by_hand() -> None:
    turn = 2 * math.pi * torch.arange(32.0) / 32
    one, two = torch.cos(3 * turn), torch.cos(3 * turn) + torch.cos(7 * turn)
    target = torch.stack((one, one), dim=1)[None]
    prediction = torch.stack((one, two), dim=1)[None]
    expected = torch.tensor([0.5], dtype=torch.float64)  # 0 and 1 bit
    # The tones have float32 rounding errors of 1e-7 of their amplitude.
    error = spectral_entropy_error(prediction, target)
    torch.testing.assert_close(error, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("metric", "best"), [(r2, 1.0), (mae, 0.0), (rmse, 0.0), (spectral_entropy_error, 0.0)]
)
@given(seed=st.integers(0, 2**16))
def test_a_perfect_prediction_scores_best_and_cases_are_independent(
    metric: Metric, best: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    target, other = torch.randn(2, 3, 11, 2, generator=generator)
    assert metric(target, target).tolist() == [best] * 3
    alone = torch.cat([metric(other[i : i + 1], target[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(metric(other, target), alone)


def test_r2_of_a_constant_target() -> None:
    target = torch.ones(2, 5, 1)
    prediction = torch.stack((torch.ones(5, 1), torch.linspace(0, 2, 5)[:, None]))
    assert r2(prediction, target).tolist() == [1.0, 0.0]


def test_r2_is_accurate_for_small_variations_of_a_large_offset() -> None:
    ripple = torch.sin(torch.arange(40.0))[None, :, None]
    target = 1000.0 + ripple
    # The prediction has half the amplitude: R^2 = 3/4. Float32 rounds the inputs to 6e-5.
    prediction = target.mean() + 0.5 * (target - target.mean())
    assert r2(prediction, target).item() == pytest.approx(0.75, abs=1e-3)
