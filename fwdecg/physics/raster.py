"""Regular rasters of a square sheet: cell centres, interpolation from a lattice, area means.

Cells are squares; row 0 is the top edge, column 0 the left one, positions in mm from the top-left
corner. Rows and columns are treated by one small matrix each, since all operations here separate.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from fwdecg.shapes import Field


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


def area_mean(field: Float[np.ndarray, "fine_row fine_col"], cells: int) -> Field:
    """Mean of a square field over each of `cells` x `cells` equal squares that tile it.

    The field's own cells may straddle two squares; each counts by the share of its area.
    """
    shares = _shares(field.shape[0], cells)
    return shares @ field @ shares.T


@lru_cache(maxsize=8)
def _shares(fine: int, coarse: int) -> Float[np.ndarray, "coarse fine"]:
    """Share of each coarse interval's length that lies in each fine one; rows sum to 1."""
    # Whole numbers, so that intervals that only touch have a share of exactly 0.
    edges = np.arange(fine + 1) * coarse
    starts = np.arange(coarse)[:, None] * fine
    overlap = np.minimum(edges[1:], starts + fine) - np.maximum(edges[:-1], starts)
    return np.maximum(overlap, 0) / fine
