"""Regular rasters of a square sheet: cell centres, interpolation from a lattice, area means.

Cells are squares; row 0 is the top edge, column 0 the left one, positions in mm from the top-left
corner. Rows and columns are treated by one small matrix each, since all operations here separate.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64

from fwdecg.kernels.compile import kernel
from fwdecg.shapes import Field

Stack = Float[np.ndarray, "frame row col"]


def cell_centres_mm(cells: int, spacing_mm: float) -> Float[np.ndarray, " cell"]:
    """Positions of the centres of a row (or column) of cells."""
    return (np.arange(cells) + 0.5) * spacing_mm


def interpolate(
    lattice: Float[np.ndarray, "node_row node_col"],
    *,
    lattice_spacing_mm: float,
    cells: int,
    size_mm: float,
) -> Field:
    """Bilinear interpolation of a lattice of nodes at the centres of `cells` x `cells` cells.

    Node (i, j) lies at (i, j) * `lattice_spacing_mm`; the lattice must cover the sheet.
    """
    position = cell_centres_mm(cells, size_mm / cells) / lattice_spacing_mm
    node = position.astype(np.intp)
    weight = position - node
    rows = lattice[node] * (1 - weight)[:, None] + lattice[node + 1] * weight[:, None]
    return rows[:, node] * (1 - weight) + rows[:, node + 1] * weight


def area_mean(
    fields: Float[np.ndarray, "*frame fine_row fine_col"], cells: int
) -> Float[np.ndarray, "*frame row col"]:
    """Mean of square fields over each of `cells` x `cells` equal squares that tile them.

    A field's own cells may straddle two squares; each counts by the share of its area.
    """
    *frames, fine, _ = fields.shape
    means = np.empty((*frames, cells, cells))
    _average(
        means.reshape(-1, cells, cells), fields.reshape(-1, fine, fine), _overlaps(fine, cells)
    )
    return means


def spread_weights(
    weights: Float[np.ndarray, "*frame row col"], cells: int
) -> Float[np.ndarray, "*frame fine_row fine_col"]:
    """The transpose of `area_mean`: weights of `cells` x `cells` cells, shared out by their areas.

    Their sum with a field is that of `weights` with the field's area means.
    """
    coarse = weights.shape[-1]
    return area_mean(weights, cells) * (coarse / cells) ** 2


class _Overlaps(NamedTuple):
    """Fine intervals first <= i < last reach into each coarse one, by `share` of its length."""

    first: Int64[np.ndarray, " coarse"]
    last: Int64[np.ndarray, " coarse"]
    share: Float64[np.ndarray, "coarse fine"]


@kernel()
def _average(means: Stack, fields: Stack, overlaps: _Overlaps) -> None:
    """Fills `means`: for each row of squares first along columns, then the sums along the row."""
    first, last, share = overlaps
    cells, fine = share.shape
    for f in range(len(fields)):
        for i in range(cells):
            strip = np.zeros(fine)
            for row in range(first[i], last[i]):
                for col in range(fine):
                    strip[col] += share[i, row] * fields[f, row, col]
            for j in range(cells):
                total = 0.0
                for col in range(first[j], last[j]):
                    total += share[j, col] * strip[col]
                means[f, i, j] = total


@lru_cache(maxsize=8)
def _overlaps(fine: int, coarse: int) -> _Overlaps:
    # Whole numbers, so that intervals that only touch have a share of exactly 0.
    edges = np.arange(fine + 1) * coarse
    starts = np.arange(coarse)[:, None] * fine
    overlap = np.minimum(edges[1:], starts + fine) - np.maximum(edges[:-1], starts)
    reaches = overlap > 0
    return _Overlaps(
        first=reaches.argmax(axis=1),
        last=fine - reaches[:, ::-1].argmax(axis=1),
        share=np.maximum(overlap, 0) / fine,
    )
