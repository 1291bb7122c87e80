"""Rasters of a sheet: cell centres, interpolation from a lattice, area means.

Cells are squares. Row 0 is at the top edge and column 0 at the left edge; positions are in mm from
the top left corner. All operations are separable: they treat rows and columns one after the other.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64

from fwdecg.kernels.compile import kernel
from fwdecg.shapes import Field

Stack = Float[np.ndarray, "frame row col"]


def cell_centres_mm(cells: int, spacing_mm: float) -> Float[np.ndarray, " cell"]:
    """Return the positions in mm of the centres of a row or column of cells."""
    return (np.arange(cells) + 0.5) * spacing_mm


def interpolate(
    lattice: Float[np.ndarray, "node_row node_col"],
    *,
    lattice_spacing_mm: float,
    cells: int,
    size_mm: float,
) -> Field:
    """Interpolate a lattice bilinearly at the centres of `cells` x `cells` cells.

    Args:
        lattice: values at the nodes; node (i, j) lies at (i, j) * `lattice_spacing_mm`.
        lattice_spacing_mm: distance between nodes; the lattice must cover the sheet.
        cells: rows and columns of the raster.
        size_mm: side of the sheet.
    """
    position = cell_centres_mm(cells, size_mm / cells) / lattice_spacing_mm
    node = position.astype(np.intp)
    weight = position - node
    rows = lattice[node] * (1 - weight)[:, None] + lattice[node + 1] * weight[:, None]
    return rows[:, node] * (1 - weight) + rows[:, node + 1] * weight


def area_mean(
    fields: Float[np.ndarray, "*frame fine_row fine_col"], cells: int
) -> Float[np.ndarray, "*frame row col"]:
    """Return the means of square fields over `cells` x `cells` equal squares.

    A cell that overlaps several squares contributes to each in proportion to the overlap.
    """
    *frames, fine, _ = fields.shape
    means = np.empty((*frames, cells, cells))
    overlaps = _overlaps(fine, cells)
    _average(means.reshape(-1, cells, cells), fields.reshape(-1, fine, fine), overlaps, overlaps)
    return means


def pixel_mean(
    fields: Float[np.ndarray, "frame fine_row fine_col"], spacing_mm: float, pixel_mm: float
) -> Float[np.ndarray, "frame row col"]:
    """Return the means of fields over square pixels that cover the sheet from its top left corner.

    The last pixels may extend beyond the sheet, where every field counts as 0.

    Args:
        fields: fields on the cells of a sheet, which may be a rectangle.
        spacing_mm: side of a cell.
        pixel_mm: side of a pixel.
    """
    frames, *fine = fields.shape
    rows, cols = (_pixel_overlaps(side, spacing_mm / pixel_mm) for side in fine)
    means = np.empty((frames, len(rows.fraction), len(cols.fraction)))
    _average(means, fields, rows, cols)
    return means


def area_mean_transpose(
    weights: Float[np.ndarray, "*frame row col"], cells: int
) -> Float[np.ndarray, "*frame fine_row fine_col"]:
    """Apply the transpose of `area_mean`: distribute weights over `cells` x `cells` cells by area.

    The dot product of the result and a field equals the dot product of `weights` and the field's
    area means.
    """
    coarse = weights.shape[-1]
    return area_mean(weights, cells) * (coarse / cells) ** 2


class _Overlaps(NamedTuple):
    """The fine intervals that overlap each coarse one, and their fractions of its length."""

    first: Int64[np.ndarray, " coarse"]
    last: Int64[np.ndarray, " coarse"]
    fraction: Float64[np.ndarray, "coarse fine"]


@kernel()
def _average(means: Stack, fields: Stack, rows: _Overlaps, cols: _Overlaps) -> None:
    """Fill `means`: for each row of squares average over rows first, then over columns."""
    fine = cols.fraction.shape[1]
    for f in range(len(fields)):
        for i in range(len(rows.fraction)):
            strip = np.zeros(fine)
            for row in range(rows.first[i], rows.last[i]):
                for col in range(fine):
                    strip[col] += rows.fraction[i, row] * fields[f, row, col]
            for j in range(len(cols.fraction)):
                total = 0.0
                for col in range(cols.first[j], cols.last[j]):
                    total += cols.fraction[j, col] * strip[col]
                means[f, i, j] = total


@lru_cache(maxsize=8)
def _overlaps(fine: int, coarse: int) -> _Overlaps:
    # Integer arithmetic gives an overlap of exactly 0 for intervals that merely touch.
    edges = np.arange(fine + 1) * coarse
    starts = np.arange(coarse)[:, None] * fine
    overlap = np.minimum(edges[1:], starts + fine) - np.maximum(edges[:-1], starts)
    return _as_overlaps(np.maximum(overlap, 0) / fine)


@lru_cache(maxsize=8)
def _pixel_overlaps(fine: int, ratio: float) -> _Overlaps:
    """Return the overlaps of `fine` cells with the pixels that cover them; `ratio` is in pixels."""
    # Rounding removes slivers between intervals that merely touch.
    edges = np.round(np.arange(fine + 1) * ratio, 9)
    starts = np.arange(int(np.ceil(edges[-1])))[:, None]
    overlap = np.minimum(edges[1:], starts + 1) - np.maximum(edges[:-1], starts)
    return _as_overlaps(np.maximum(overlap, 0.0))


def _as_overlaps(fraction: Float64[np.ndarray, "coarse fine"]) -> _Overlaps:
    overlapping = fraction > 0
    return _Overlaps(
        first=overlapping.argmax(axis=1),
        last=fraction.shape[1] - overlapping[:, ::-1].argmax(axis=1),
        fraction=fraction,
    )
