"""Voltage maps of a wave with a known speed."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.fixture
def straight_front() -> Callable[..., Tensor]:
    """Return a function (map widths per frame, frames, side) -> maps of a front moving right.

    The front is eight pixels wide and starts outside the map.
    """

    def maps(widths_per_frame: float, frames: int, side: int) -> Tensor:
        frame, column = torch.arange(frames)[:, None], torch.arange(side) + 0.5
        ramp = (widths_per_frame * side * frame - column) / 8.0
        return ramp.clamp(0.0, 1.0)[None, :, None, :].expand(1, -1, side, -1)

    return maps
