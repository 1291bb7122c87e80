"""Map features: closed forms, conservation, symmetry, and equality of kernel and torch."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fwdecg.model import map_features
from fwdecg.model.map_features import (
    FRAMES_PER_WIDTH,
    SLOWEST,
    conducting_fraction,
    conducting_voltage,
    front_arrival,
    front_speed,
    voltage_steps,
    wavefront_features,
)

SIDE, CELLS = 16, 4


def _all_conducting() -> Tensor:
    return torch.ones(1, SIDE, SIDE)


def test_a_uniform_gradient_by_hand() -> None:
    voltage = (0.03 * torch.arange(SIDE)).expand(1, 1, SIDE, SIDE)
    right, down = voltage_steps(voltage, _all_conducting(), CELLS)[0, 0]
    # A cell at the border of the map lacks half a difference, because there is no next pixel.
    expected = 0.03 * torch.tensor([3.5, 4.0, 4.0, 3.5])
    torch.testing.assert_close(right, expected.expand(CELLS, -1))
    torch.testing.assert_close(down, torch.zeros(CELLS, CELLS), atol=1e-6, rtol=0)


# Only cells of whole pixels conserve the sum, because shared pixels count twice.
@given(seed=st.integers(0, 2**32 - 1), cells=st.sampled_from([1, 2, 7, 14]))
@settings(max_examples=25, deadline=None)
def test_the_steps_across_all_cells_add_up_to_the_voltage_across_the_map(
    seed: int, cells: int
) -> None:
    voltage = torch.rand(1, 2, 14, 14, generator=torch.Generator().manual_seed(seed))
    right, down = voltage_steps(voltage, torch.ones(1, 14, 14), cells).unbind(2)
    across = (voltage[..., -1] - voltage[..., 0]).unflatten(2, (cells, -1)).mean(3)
    along = (voltage[..., -1, :] - voltage[..., 0, :]).unflatten(2, (cells, -1)).mean(3)
    torch.testing.assert_close(right.sum(3), across)
    torch.testing.assert_close(down.sum(2), along)


def test_patches_in_tissue_of_uniform_voltage_give_no_steps() -> None:
    torch.manual_seed(0)
    voltage = torch.tensor([0.0, 1.0, 0.6])
    u = voltage[None, :, None, None] * torch.rand(1, 1, SIDE, SIDE)
    fraction = conducting_fraction(u)
    steps = voltage_steps(conducting_voltage(u, fraction), fraction, CELLS)
    torch.testing.assert_close(steps, torch.zeros_like(steps), atol=1e-5, rtol=0)


def test_a_patch_separates_voltages() -> None:
    fraction = _all_conducting()
    fraction[:, :, 7:9] = 0.0
    voltage = torch.zeros(1, 1, SIDE, SIDE)
    voltage[..., :7] = 1.0
    assert voltage_steps(voltage, fraction, CELLS).abs().max() == 0
    assert voltage_steps(voltage, _all_conducting(), CELLS)[:, :, 0].sum() == -CELLS


def test_the_conducting_fraction_is_the_peak() -> None:
    u = torch.tensor([[0.0, 0.4, 0.1], [0.3, 0.2, 0.1], [1.02, 0.0, 0.0]]).T[None, :, :, None]
    torch.testing.assert_close(conducting_fraction(u)[0, :, 0], torch.tensor([0.4, 0.3, 1.0]))
    assert conducting_fraction(torch.full((1, 2, 4, 4), 0.1)).max() == 0


@pytest.mark.parametrize("widths_per_frame", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("side", [16, 24])
def test_the_speed_of_a_straight_front(
    widths_per_frame: float, side: int, straight_front: Callable[..., Tensor]
) -> None:
    u = straight_front(widths_per_frame, 100, side)
    speed = front_speed(u)
    torch.testing.assert_close(speed, torch.tensor([FRAMES_PER_WIDTH * widths_per_frame]))


def test_the_speed_of_an_oblique_front_is_along_its_normal() -> None:
    frame, place = torch.arange(80)[:, None, None], torch.arange(SIDE) + 0.5
    distance = 0.6 * place[:, None] + 0.8 * place
    u = ((0.5 * frame - distance) / 8.0).clamp(0.0, 1.0)[None]
    expected = torch.tensor([FRAMES_PER_WIDTH * 0.5 / SIDE])
    torch.testing.assert_close(front_speed(u), expected)


@pytest.mark.parametrize("pixels_per_frame", [0.8, 2.0, 3.0, 4.0, 6.0, 8.0])
@pytest.mark.parametrize(("angle", "side"), [(0.0, 64), (0.4, 128), (math.pi / 4, 64)])
def test_the_speed_of_a_sharp_front(pixels_per_frame: float, angle: float, side: int) -> None:
    """The upstroke takes 1 ms and a frame 5 ms, as in fine maps of simulated tissue.

    The arrivals of neighbouring pixels then form steps, from which the speed would be up to twice
    too high.
    """
    place = torch.arange(side) + 0.5
    distance = math.sin(angle) * place[:, None] + math.cos(angle) * place
    frame = torch.arange(1.5 * side / pixels_per_frame + 4)[:, None, None]
    u = ((frame - 1.3 - distance / pixels_per_frame) / 0.2).sigmoid()[None]
    found = front_speed(u) * side / FRAMES_PER_WIDTH
    torch.testing.assert_close(found, torch.tensor([pixels_per_frame]), rtol=0.06, atol=0)


def test_an_exported_program_computes_the_same_median(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    values, chosen = torch.rand(6, 50), torch.rand(6, 50) < torch.tensor([[0.0, *5 * [0.5]]]).T
    expected = map_features._median(values, chosen)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert torch.equal(expected, map_features._median(values, chosen))
    assert expected[0] == torch.inf
    assert all(median in row for median, row in zip(expected[1:], values[1:], strict=True))


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_maps_without_a_front_have_the_least_speed(level: float) -> None:
    u = torch.full((2, 5, 8, 8), level)
    assert front_speed(u).tolist() == pytest.approx([SLOWEST, SLOWEST])


def test_mirrored_and_transposed_maps_have_mirrored_and_transposed_steps() -> None:
    torch.manual_seed(0)
    u = torch.rand(2, 6, SIDE, SIDE)
    steps, mirrored = (
        voltage_steps(maps, conducting_fraction(maps), CELLS) for maps in (u, u.flip(2))
    )
    sign = torch.tensor([1.0, -1.0])[:, None, None]
    torch.testing.assert_close(mirrored, sign * steps.flip(3))
    turned = voltage_steps(u.mT, conducting_fraction(u.mT), CELLS)
    torch.testing.assert_close(turned, steps.flip(2).mT)


@pytest.mark.parametrize(
    ("sides", "cells"), [((4, 4), 2), ((16, 16), 4), ((9, 14), 4), ((7, 7), 8)]
)
@pytest.mark.parametrize("frames", [1, 30])
def test_the_kernel_equals_torch(sides: tuple[int, int], cells: int, frames: int) -> None:
    torch.manual_seed(0)
    # Random noisy maps with patches and a first frame that is not at rest.
    u = torch.rand(5, frames, *sides).cumsum(1) / (0.2 * frames)
    u = (u - 0.5).clamp(0.0, 1.0) * (torch.rand(5, 1, *sides) + 0.2).clamp_max(1.0)
    u[:, :, 1, 1:3] = 0.0
    fraction = conducting_fraction(u)
    steps, arrival = wavefront_features(u, fraction, cells)
    voltage = conducting_voltage(u, fraction)
    torch.testing.assert_close(steps, voltage_steps(voltage, fraction, cells), rtol=1e-5, atol=1e-6)
    expected = front_arrival(voltage)
    assert torch.equal(arrival < 0, expected < 0)
    torch.testing.assert_close(arrival.clamp_min(0), expected.clamp_min(0), rtol=1e-5, atol=1e-4)


def test_maps_with_gradients_use_torch() -> None:
    u = torch.rand(1, 3, 8, 8, requires_grad=True)
    steps, _ = wavefront_features(u, conducting_fraction(u), 2)
    assert steps.requires_grad
