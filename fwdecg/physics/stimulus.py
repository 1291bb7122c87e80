"""Pacing protocols: where, when and how strongly a stimulus current raises u.

Regions are in mm, so that a protocol applies to any raster of the sheet. The amplitude is about
three times the threshold; the wave itself does not depend on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Float

from fwdecg.errors import TissueError
from fwdecg.physics.raster import cell_centres_mm
from fwdecg.physics.tissue import Tissue
from fwdecg.shapes import Mask, Numbers, number_array, single_number

AMPLITUDE_PER_MS = 0.5
DURATION_MS = 1.0
PLANAR_WIDTH_MM = 2.0
FOCAL_RADIUS_MM = 3.0

EDGES = ("left", "right", "top", "bottom")
_SIDES = ("left_mm", "right_mm", "top_mm", "bottom_mm")
Columns = Float[np.ndarray, "1 col"]
Rows = Float[np.ndarray, "row 1"]


@dataclass(frozen=True, kw_only=True)
class Rectangle:
    """Points with left <= x <= right and top <= y <= bottom, in mm; y points down."""

    left_mm: float = -np.inf
    right_mm: float = np.inf
    top_mm: float = -np.inf
    bottom_mm: float = np.inf

    def __post_init__(self) -> None:
        """Raise TissueError if a side is no number, or lies on the wrong side of the other."""
        left, right, top, bottom = (_number(self, name) for name in _SIDES)
        if not (left <= right and top <= bottom):
            raise TissueError(
                f"a rectangle from x = {left:g} to {right:g} mm and y = {top:g} to {bottom:g} mm: "
                "left must be at most right, and top at most bottom"
            )

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

    def __post_init__(self) -> None:
        """Raise TissueError if the centre is not finite or the radius not above 0."""
        x_mm, y_mm, radius_mm = (_number(self, name) for name in ("x_mm", "y_mm", "radius_mm"))
        if not (np.isfinite([x_mm, y_mm]).all() and 0 < radius_mm < np.inf):
            raise TissueError(
                f"a disc of radius {radius_mm:g} mm at ({x_mm:g}, {y_mm:g}) mm: the radius must be "
                "above 0, and all numbers finite"
            )

    def contains(self, x_mm: Columns, y_mm: Rows) -> Mask:
        """Return which points lie inside."""
        return (x_mm - self.x_mm) ** 2 + (y_mm - self.y_mm) ** 2 <= self.radius_mm**2


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Points within `width_mm` of an edge of the sheet."""

    edge: str
    width_mm: float

    def __post_init__(self) -> None:
        """Raise TissueError if the width is not above 0."""
        if not _number(self, "width_mm") > 0:
            raise TissueError(f"width_mm = {self.width_mm}: must be above 0")

    def contains(self, x_mm: Columns, y_mm: Rows) -> Mask:
        """Return which of the centres of all cells of a sheet lie inside."""
        along = x_mm if self.edge in ("left", "right") else y_mm
        # The first centre lies half a cell from the edge, the last one half a cell from the other.
        end_mm = along.flat[0] + along.flat[-1]
        distance_mm = along if self.edge in ("left", "top") else end_mm - along
        return np.broadcast_to(distance_mm <= self.width_mm, (y_mm.size, x_mm.size))


@dataclass(frozen=True, kw_only=True, eq=False)
class CellMask:
    """Points inside the marked cells of a raster of the sheet, which need not be the solver's."""

    mask: Mask = field(repr=False)
    spacing_mm: float

    def contains(self, x_mm: Columns, y_mm: Rows) -> Mask:
        """Return which of the centres of all cells of a sheet lie inside.

        Raises:
            TissueError: the mask extends more than one of its cells beyond the sheet.
        """
        rows, cols = self.mask.shape
        width_mm, height_mm = (float(each.flat[0] + each.flat[-1]) for each in (x_mm, y_mm))
        beyond_mm = max(cols * self.spacing_mm - width_mm, rows * self.spacing_mm - height_mm)
        if beyond_mm > self.spacing_mm * (1 + 1e-6):
            raise TissueError(
                f"a mask of {cols * self.spacing_mm:g} x {rows * self.spacing_mm:g} mm on a sheet "
                f"of {width_mm:g} x {height_mm:g} mm: it must lie on the sheet; check spacing_mm, "
                "and that its axes are (row, col)"
            )
        row, col = (np.floor(each / self.spacing_mm).astype(np.intp) for each in (y_mm, x_mm))
        inside = (row < rows) & (col < cols)
        return inside & self.mask[np.minimum(row, rows - 1), np.minimum(col, cols - 1)]


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """A stimulus current in one region.

    `disc`, `strip`, `rectangle` and `mask` build the region as well. Positions are in mm from the
    top left corner of the sheet; y points down.

    Attributes:
        region: stimulated region.
        start_ms: start time, at least 0.
        duration_ms: duration, above 0.
        amplitude_per_ms: J_stim, the current's contribution to du/dt, above 0.
    """

    region: Rectangle | Disc | Strip | CellMask
    start_ms: float = 0.0
    duration_ms: float = DURATION_MS
    amplitude_per_ms: float = AMPLITUDE_PER_MS

    def __post_init__(self) -> None:
        """Raise TissueError if start, duration or amplitude is invalid."""
        start_ms, duration_ms = _number(self, "start_ms"), _number(self, "duration_ms")
        if not (0 <= start_ms < np.inf and 0 < duration_ms < np.inf):
            raise TissueError(
                f"a stimulus from {self.start_ms} ms for {self.duration_ms} ms: it must start at 0 "
                "or later and last longer than 0"
            )
        if not 0 < _number(self, "amplitude_per_ms") < np.inf:
            raise TissueError(f"amplitude_per_ms = {self.amplitude_per_ms}: must be above 0")

    @classmethod
    def disc(cls, *, x_mm: float, y_mm: float, radius_mm: float, **when: float) -> "Stimulus":
        """Return a stimulus of a disc.

        Args:
            x_mm: position of the centre.
            y_mm: position of the centre.
            radius_mm: radius of the disc.
            **when: `start_ms`, `duration_ms` and `amplitude_per_ms`.
        """
        return cls(region=Disc(x_mm=x_mm, y_mm=y_mm, radius_mm=radius_mm), **when)

    @classmethod
    def strip(cls, edge: str, *, width_mm: float = PLANAR_WIDTH_MM, **when: float) -> "Stimulus":
        """Return a stimulus along an edge of the sheet, which starts a plane wave.

        Args:
            edge: "left", "right", "top" or "bottom".
            width_mm: width of the strip.
            **when: `start_ms`, `duration_ms` and `amplitude_per_ms`.

        Raises:
            TissueError: there is no such edge.
        """
        if edge not in EDGES:
            raise TissueError(f"edge = {edge!r}: must be one of {', '.join(EDGES)}")
        return cls(region=Strip(edge=edge, width_mm=width_mm), **when)

    @classmethod
    def rectangle(
        cls,
        *,
        left_mm: float = -np.inf,
        right_mm: float = np.inf,
        top_mm: float = -np.inf,
        bottom_mm: float = np.inf,
        **when: float,
    ) -> "Stimulus":
        """Return a stimulus of the points with left <= x <= right and top <= y <= bottom.

        Args:
            left_mm: smallest x.
            right_mm: largest x.
            top_mm: smallest y.
            bottom_mm: largest y.
            **when: `start_ms`, `duration_ms` and `amplitude_per_ms`.
        """
        region = Rectangle(left_mm=left_mm, right_mm=right_mm, top_mm=top_mm, bottom_mm=bottom_mm)
        return cls(region=region, **when)

    @classmethod
    def mask(cls, mask: Numbers, *, spacing_mm: float, **when: float) -> "Stimulus":
        """Return a stimulus of the marked cells of a raster, for example the tissue's own.

        The raster begins at the top left corner of the sheet. It may be smaller than the sheet.

        Args:
            mask: truth values (row, col), true where the current flows.
            spacing_mm: side of a cell of the mask.
            **when: `start_ms`, `duration_ms` and `amplitude_per_ms`.

        Raises:
            TissueError: the mask is no such array, or the spacing is not above 0.
        """
        cells = number_array(mask, "mask", TissueError)
        side_mm = single_number(spacing_mm, "spacing_mm", TissueError)
        valid = cells.ndim == 2 and cells.size > 0 and np.isin(cells, (0, 1)).all()
        if not valid or not 0 < side_mm < np.inf:
            raise TissueError(
                f"a mask of shape {cells.shape} with cells of {side_mm:g} mm: must be an array "
                "(row, col) of truth values, with cells wider than 0"
            )
        return cls(region=CellMask(mask=cells.astype(bool), spacing_mm=side_mm), **when)


def _number(owner: Any, name: str) -> float:
    """Return a field of a stimulus or its region as a float."""
    return single_number(getattr(owner, name), name, TissueError)


Pacing = Sequence[Stimulus]


def pacing_train(stimulus: Stimulus, cycle_lengths_ms: Sequence[float]) -> Pacing:
    """Return a stimulus followed by repetitions of it.

    Args:
        stimulus: the first stimulus.
        cycle_lengths_ms: time from the start of each stimulus to the start of the next; three
            stimuli have two cycle lengths.

    Raises:
        TissueError: the cycle lengths are no list, or one is not above the stimulus' duration.
    """
    lengths_ms = number_array(cycle_lengths_ms, "cycle_lengths_ms", TissueError)
    if lengths_ms.ndim != 1:
        raise TissueError(
            f"cycle_lengths_ms = {cycle_lengths_ms}: must be a list with the time from each "
            "stimulus to the next"
        )
    for length_ms in lengths_ms:
        if not stimulus.duration_ms < length_ms < np.inf:
            raise TissueError(
                f"a cycle length of {length_ms} ms: must be above the stimulus' duration of "
                f"{stimulus.duration_ms:g} ms"
            )
    starts_ms = stimulus.start_ms + np.cumsum([0.0, *lengths_ms])
    return tuple(replace(stimulus, start_ms=float(start_ms)) for start_ms in starts_ms)


def s1_s2(stimulus: Stimulus, *, s1_ms: float, s1_count: int, s2_ms: float) -> Pacing:
    """Return a train of regular stimuli (S1) followed by a premature one (S2) at the same site.

    Args:
        stimulus: the first S1 stimulus.
        s1_ms: cycle length of the S1 stimuli.
        s1_count: number of S1 stimuli, at least 1.
        s2_ms: coupling interval from the last S1 stimulus to S2.

    Raises:
        TissueError: there is no S1 stimulus, or an interval is not above the stimulus' duration.
    """
    if not isinstance(s1_count, Integral) or s1_count < 1:
        raise TissueError(f"s1_count = {s1_count}: must be a whole number, at least 1")
    return pacing_train(stimulus, [s1_ms] * (s1_count - 1) + [s2_ms])


def planar(start_ms: float = 0.0, *, edge: str = "left") -> Pacing:
    """Return the pacing that starts a plane wave at an edge."""
    return (Stimulus.strip(edge, start_ms=start_ms),)


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
        raise TissueError(
            f"no conducting cell lies in the stimulated region {stimulus.region}: at least one "
            f"must; the solver's cells are {tissue.spacing_mm:g} mm wide; check the region and D"
        )
    return cells
