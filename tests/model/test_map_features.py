"""What is read off maps: closed forms, conservation, symmetry, and the kernel against torch."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fwdecg.model import map_features as readings
from fwdecg.model.map_features import (
    FRAMES_PER_WIDTH,
    SLOWEST,
    conducting_share,
    conducting_voltage,
    front_arrival,
    front_speed,
    read_maps,
    voltage_steps,
)

SIDE, CELLS = 16, 4


def _all_conducting() -> Tensor:
    return torch.ones(1, SIDE, SIDE)


def test_a_uniform_gradient_by_hand() -> None:
    voltage = (0.03 * torch.arange(SIDE)).expand(1, 1, SIDE, SIDE)
    right, down = voltage_steps(voltage, _all_conducting(), CELLS)[0, 0]
    # Half a step is missing at the border of the map, where there is no next pixel.
    expected = 0.03 * torch.tensor([3.5, 4.0, 4.0, 3.5])
    torch.testing.assert_close(right, expected.expand(CELLS, -1))
    torch.testing.assert_close(down, torch.zeros(CELLS, CELLS), atol=1e-6, rtol=0)


# Where cells share pixels, pixels count twice: only cells of whole pixels conserve the sum.
@given(seed=st.integers(0, 2**32 - 1), cells=st.sampled_from([1, 2, 7, 14]))
@settings(max_examples=25, deadline=None)
def test_the_steps_of_a_row_of_cells_add_up_to_the_voltage_across_the_map(
    seed: int, cells: int
) -> None:
    voltage = torch.rand(1, 2, 14, 14, generator=torch.Generator().manual_seed(seed))
    right, down = voltage_steps(voltage, torch.ones(1, 14, 14), cells).unbind(2)
    across = (voltage[..., -1] - voltage[..., 0]).unflatten(2, (cells, -1)).mean(3)
    along = (voltage[..., -1, :] - voltage[..., 0, :]).unflatten(2, (cells, -1)).mean(3)
    torch.testing.assert_close(right.sum(3), across)
    torch.testing.assert_close(down.sum(2), along)


def test_patches_in_tissue_of_one_voltage_are_no_dipoles() -> None:
    torch.manual_seed(0)
    share = torch.rand(1, SIDE, SIDE)
    course = torch.tensor([0.0, 1.0, 0.6])
    u = course[None, :, None, None] * share.unsqueeze(1)
    share = conducting_share(u)
    steps = voltage_steps(conducting_voltage(u, share), share, CELLS)
    torch.testing.assert_close(steps, torch.zeros_like(steps), atol=1e-5, rtol=0)


def test_nothing_flows_across_a_patch() -> None:
    share = _all_conducting()
    share[:, :, 7:9] = 0.0
    voltage = torch.zeros(1, 1, SIDE, SIDE)
    voltage[..., :7] = 1.0
    assert voltage_steps(voltage, share, CELLS).abs().max() == 0
    assert voltage_steps(voltage, _all_conducting(), CELLS)[:, :, 0].sum() == -CELLS


def test_the_share_that_conducts_is_the_peak() -> None:
    u = torch.tensor([[0.0, 0.4, 0.1], [0.3, 0.2, 0.1], [1.02, 0.0, 0.0]]).T[None, :, :, None]
    torch.testing.assert_close(conducting_share(u)[0, :, 0], torch.tensor([0.4, 0.3, 1.0]))
    assert conducting_share(torch.full((1, 2, 4, 4), 0.1)).max() == 0


@pytest.mark.parametrize("widths_per_frame", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("side", [16, 24])
def test_the_speed_of_a_straight_front(
    widths_per_frame: float, side: int, straight_front: Callable[..., Tensor]
) -> None:
    u = straight_front(widths_per_frame, 100, side)
    speed = front_speed(u)
    torch.testing.assert_close(speed, torch.tensor([FRAMES_PER_WIDTH * widths_per_frame]))


def test_the_speed_of_an_oblique_front_is_that_along_its_normal() -> None:
    frame, place = torch.arange(80)[:, None, None], torch.arange(SIDE) + 0.5
    distance = 0.6 * place[:, None] + 0.8 * place
    u = ((0.5 * frame - distance) / 8.0).clamp(0.0, 1.0)[None]
    expected = torch.tensor([FRAMES_PER_WIDTH * 0.5 / SIDE])
    torch.testing.assert_close(front_speed(u), expected)


@pytest.mark.parametrize("pixels_per_frame", [0.8, 2.0, 3.0, 4.0, 6.0, 8.0])
@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 4])
@pytest.mark.parametrize("side", [64, 128])
def test_the_speed_of_a_sharp_front_that_crosses_pixels_between_frames(
    pixels_per_frame: float, angle: float, side: int
) -> None:
    """A millisecond from rest to full, and five between frames, as fine maps of tissue have it.

    From pixel to pixel arrivals are steps then: neighbours alone told a speed up to twice as high.
    """
    place = torch.arange(side) + 0.5
    distance = math.sin(angle) * place[:, None] + math.cos(angle) * place
    frame = torch.arange(1.5 * side / pixels_per_frame + 4)[:, None, None]
    u = ((frame - 1.3 - distance / pixels_per_frame) / 0.2).sigmoid()[None]
    found = front_speed(u) * side / FRAMES_PER_WIDTH
    torch.testing.assert_close(found, torch.tensor([pixels_per_frame]), rtol=0.06, atol=0)


def test_an_exported_program_finds_the_same_median(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    values, chosen = torch.rand(6, 50), torch.rand(6, 50) < torch.tensor([[0.0, *5 * [0.5]]]).T
    quick = readings._median(values, chosen)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert torch.equal(quick, readings._median(values, chosen))
    assert quick[0] == torch.inf
    assert all(median in row for median, row in zip(quick[1:], values[1:], strict=True))


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_maps_without_a_front_have_the_least_speed(level: float) -> None:
    u = torch.full((2, 5, 8, 8), level)
    assert front_speed(u).tolist() == pytest.approx([SLOWEST, SLOWEST])


def test_upside_down_maps_have_upside_down_dipoles() -> None:
    torch.manual_seed(0)
    u = torch.rand(2, 6, SIDE, SIDE)
    steps, mirrored = (
        voltage_steps(maps, conducting_share(maps), CELLS) for maps in (u, u.flip(2))
    )
    sign = torch.tensor([1.0, -1.0])[:, None, None]
    torch.testing.assert_close(mirrored, sign * steps.flip(3))
    turned = voltage_steps(u.mT, conducting_share(u.mT), CELLS)
    torch.testing.assert_close(turned, steps.flip(2).mT)


@pytest.mark.parametrize(
    ("sides", "cells"), [((4, 4), 2), ((16, 16), 4), ((9, 14), 4), ((7, 7), 8)]
)
@pytest.mark.parametrize("frames", [1, 30])
def test_read_at_once_is_what_torch_reads(sides: tuple[int, int], cells: int, frames: int) -> None:
    torch.manual_seed(0)
    # Maps that rise and fall at random, with patches, a first frame that is not at rest, and noise.
    u = torch.rand(5, frames, *sides).cumsum(1) / (0.2 * frames)
    u = (u - 0.5).clamp(0.0, 1.0) * (torch.rand(5, 1, *sides) + 0.2).clamp_max(1.0)
    u[:, :, 1, 1:3] = 0.0
    share = conducting_share(u)
    steps, arrival = read_maps(u, share, cells)
    voltage = conducting_voltage(u, share)
    torch.testing.assert_close(steps, voltage_steps(voltage, share, cells), rtol=1e-5, atol=1e-6)
    expected = front_arrival(voltage)
    assert torch.equal(arrival < 0, expected < 0)
    torch.testing.assert_close(arrival.clamp_min(0), expected.clamp_min(0), rtol=1e-5, atol=1e-4)


def test_maps_with_gradients_are_read_by_torch() -> None:
    u = torch.rand(1, 3, 8, 8, requires_grad=True)
    steps, _ = read_maps(u, conducting_share(u), 2)
    assert steps.requires_grad
