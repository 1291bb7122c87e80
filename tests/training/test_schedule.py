"""Halving on a plateau: when it comes, that the count starts anew; the cosine; resuming."""

import math

import pytest
import torch
from torch.optim import SGD

from fwdecg.training.schedule import halve_on_plateau, learning_rate_schedule
from fwdecg.training.training_config import TrainingConfig

RATE = 1e-3


def _optimizer() -> SGD:
    return SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)


def _halvings(losses: list[float], patience: int) -> list[int]:
    """Epochs, counted from 0, after which the rate was halved."""
    optimizer = _optimizer()
    schedule = halve_on_plateau(optimizer, patience=patience)
    halved, rate = [], RATE
    for epoch, loss in enumerate(losses):
        schedule.step(loss)
        if optimizer.param_groups[0]["lr"] != rate:
            rate = optimizer.param_groups[0]["lr"]
            halved.append(epoch)
            assert rate == RATE * 0.5 ** len(halved)
    return halved


@pytest.mark.parametrize(
    ("losses", "patience", "halved"),
    [
        ([1.0] * 5, 5, []),
        ([1.0] * 6, 5, [5]),
        ([1.0] * 11, 5, [5, 10]),
        ([1.0, 2.0, 2.0, 2.0, 2.0, 0.9, 2.0, 2.0, 2.0, 2.0, 2.0], 5, [10]),
        ([1.0 - 1e-7 * epoch for epoch in range(20)], 5, []),
        ([1.0, *[float("nan")] * 5], 5, [5]),
        ([1.0, 1.0, 1.0], 1, [1, 2]),
    ],
    ids=["one short", "five", "anew", "interrupted", "small gains count", "nan", "patience one"],
)
def test_when_it_halves(losses: list[float], patience: int, halved: list[int]) -> None:
    assert _halvings(losses, patience) == halved


def test_it_goes_on_halving_tiny_rates() -> None:
    assert len(_halvings([1.0] * 40, patience=1)) == 39


def test_a_resumed_schedule_goes_on_counting() -> None:
    first = halve_on_plateau(_optimizer(), patience=5)
    for _ in range(4):
        first.step(1.0)
    optimizer = _optimizer()
    resumed = halve_on_plateau(optimizer, patience=5)
    resumed.load_state_dict(first.state_dict())
    resumed.step(1.0)
    assert optimizer.param_groups[0]["lr"] == RATE
    resumed.step(1.0)
    assert optimizer.param_groups[0]["lr"] == RATE / 2


def test_a_cosine_falls_from_the_first_rate_to_nothing() -> None:
    optimizer = _optimizer()
    schedule = learning_rate_schedule(optimizer, TrainingConfig(epochs=4, schedule="cosine"))
    first, rates = optimizer.param_groups[0]["lr"], []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"] / first)
        optimizer.step()
        schedule.step(0.0)
    root = math.sqrt(0.5)
    assert rates == pytest.approx([1.0, (1 + root) / 2, 0.5, (1 - root) / 2])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-9)


def test_a_resumed_cosine_goes_on() -> None:
    config = TrainingConfig(epochs=6, schedule="cosine")
    whole, cut, resumed = _optimizer(), _optimizer(), _optimizer()
    schedules = {each: learning_rate_schedule(each, config) for each in (whole, cut, resumed)}

    def step(optimizer: SGD) -> None:
        optimizer.step()
        schedules[optimizer].step(0.0)

    for optimizer in (whole, whole, cut, cut):
        step(optimizer)
    resumed.load_state_dict(cut.state_dict())
    schedules[resumed].load_state_dict(schedules[cut].state_dict())
    for optimizer in (whole, resumed):
        step(optimizer)
    assert resumed.param_groups[0]["lr"] == whole.param_groups[0]["lr"] > 0
