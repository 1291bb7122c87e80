"""Pacing protocols: where, when and how strongly a stimulus current raises u.

Regions are in mm, so that a protocol applies to any raster of the sheet. The amplitude is about
three times the threshold; the wave itself does not depend on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from fwdecg.errors import TissueError
from fwdecg.physics.raster import cell_centres_mm
from fwdecg.physics.tissue import Tissue
from fwdecg.shapes import Mask

AMPLITUDE_PER_MS = 0.5
DURATION_MS = 1.0
PLANAR_WIDTH_MM = 2.0
FOCAL_RADIUS_MM = 3.0

Columns = Float[np.ndarray, "1 col"]
Rows = Float[np.ndarray, "row 1"]


@dataclass(frozen=True, kw_only=True)
class Rectangle:
    """Points with left <= x <= right and top <= y <= bottom, in mm; y points down."""

    left_mm: float = -np.inf
    right_mm: float = np.inf
    top_mm: float = -np.inf
    bottom_mm: float = np.inf

    def contains(self, x_mm: Columns, y_mm: Rows) -> Mask:
        """Return which points lie inside."""
        in_x = (self.left_mm <= x_mm) & (x_mm <= self.right_mm)
        return in_x & (self.top_mm <= y_mm) & (y_mm <= self.bottom_mm)


@dataclass(frozen=True, kw_only=True)
class Disc:
    """Points within `radius_mm` of a centre."""

    x_mm: float
    y_mm: float
    radius_mm: float

    def contains(self, x_mm: Columns, y_mm: Rows) -> Mask:
        """Return which points lie inside."""
        return (x_mm - self.x_mm) ** 2 + (y_mm - self.y_mm) ** 2 <= self.radius_mm**2


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """A stimulus current in one region.

    Attributes:
        region: stimulated region.
        start_ms: start time, at least 0.
        duration_ms: duration, above 0.
        amplitude_per_ms: J_stim, the current's contribution to du/dt.
    """

    region: Rectangle | Disc
    start_ms: float = 0.0
    duration_ms: float = DURATION_MS
    amplitude_per_ms: float = AMPLITUDE_PER_MS

    def __post_init__(self) -> None:
        """Raise TissueError if the start or the duration is invalid."""
        if not (0 <= self.start_ms < np.inf and 0 < self.duration_ms < np.inf):
            raise TissueError(
                f"a stimulus from {self.start_ms} ms for {self.duration_ms} ms: it must start at 0 "
                "or later and last longer than 0"
            )


Pacing = Sequence[Stimulus]


def planar(start_ms: float = 0.0, *, edge: Literal["left", "top"] = "left") -> Pacing:
    """Return the pacing that starts a plane wave at an edge."""
    strips = {
        "left": Rectangle(right_mm=PLANAR_WIDTH_MM),
        "top": Rectangle(bottom_mm=PLANAR_WIDTH_MM),
    }
    return (Stimulus(region=strips[edge], start_ms=start_ms),)


def focal(x_mm: float, y_mm: float) -> Pacing:
    """Return the pacing that starts a circular wave at one site."""
    return (Stimulus(region=Disc(x_mm=x_mm, y_mm=y_mm, radius_mm=FOCAL_RADIUS_MM)),)


def cross_field(size_mm: float, s2_start_ms: float) -> Pacing:
    """Return cross-field pacing: a plane wave (S1) from the left, then the lower left quarter (S2).

    Re-entry follows if the tail of the S1 wave is inside the quarter when S2 starts. With FK-CAF,
    D = 0.1 mm^2/ms and a sheet of 60 mm, S2 starts re-entry at 130 ms but not at 150 ms.

    Args:
        size_mm: side of the sheet.
        s2_start_ms: start of S2; S1 starts at 0.
    """
    quarter = Rectangle(right_mm=size_mm / 2, top_mm=size_mm / 2)
    return (*planar(), Stimulus(region=quarter, start_ms=s2_start_ms))


def stimulated_cells(stimulus: Stimulus, tissue: Tissue) -> Mask:
    """Return the conducting cells whose centres lie in the region of a stimulus.

    Raises:
        TissueError: the region contains no conducting cell.
    """
    rows, cols = tissue.diffusivity_mm2_per_ms.shape
    x_mm = cell_centres_mm(cols, tissue.spacing_mm)[None, :]
    y_mm = cell_centres_mm(rows, tissue.spacing_mm)[:, None]
    cells = stimulus.region.contains(x_mm, y_mm) & tissue.conducts
    if not cells.any():
        raise TissueError(f"no conducting cell lies in the stimulated region {stimulus.region}")
    return cells
