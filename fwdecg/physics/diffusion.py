"""div(D grad u) by cell-centred finite volumes with zero flux at edges and non-conducting cells.

A cell exchanges with its four neighbours and, by a smaller share, with the four diagonal ones:

    div(D grad u) = sum over links of D_link (u_neighbour - u) / spacing^2

with D_link the harmonic mean of the two cells' D times the link's weight. What leaves a cell enters
its neighbour, so the sum over the sheet is exactly 0, and the operator is symmetric.

The weights are those of each square of four cells. One whose cells all conduct passes `share` of
its exchange along its diagonals; where any of them does not conduct, all passes along its sides.
So a wave runs along an edge or a scar as fast as in the open, and nothing leaks between two scars
that touch at a corner. With share 1/3 the operator's leading error is the same in all directions
(the nine-point formula), with 0 it is the five-point formula.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from fwdecg.kernels.compile import kernel
from fwdecg.physics.tissue import Tissue
from fwdecg.shapes import Field

Row = Float[np.ndarray, " col"]

DIAGONAL_SHARE = 1 / 3


class Links(NamedTuple):
    """D in mm^2/ms times weight: `right` between columns, `down` between rows, and the diagonals.

    `falling` links (row, col) to (row + 1, col + 1), `rising` (row + 1, col) to (row, col + 1).
    """

    right: Float[np.ndarray, "row inner_col"]
    down: Float[np.ndarray, "inner_row col"]
    falling: Float[np.ndarray, "inner_row inner_col"]
    rising: Float[np.ndarray, "inner_row inner_col"]


def links(tissue: Tissue, diagonal_share: float = DIAGONAL_SHARE) -> Links:
    """The links of a tissue.

    Args:
        tissue: the raster.
        diagonal_share: of the exchange in a square of four conducting cells.
    """
    rows, cols = tissue.diffusivity_mm2_per_ms.shape
    link = Links(
        right=np.empty((rows, cols - 1)),
        down=np.empty((rows - 1, cols)),
        falling=np.empty((rows - 1, cols - 1)),
        rising=np.empty((rows - 1, cols - 1)),
    )
    _fill(link, tissue.diffusivity_mm2_per_ms.astype(np.float64), diagonal_share)
    return link


def divergence(u: Field, tissue: Tissue, diagonal_share: float = DIAGONAL_SHARE) -> Field:
    """div(D grad u) per cell, in units of u per ms."""
    return net_exchange(u, links(tissue, diagonal_share)) / tissue.spacing_mm**2


def net_exchange(u: Field, link: Links) -> Field:
    """What each cell receives from its neighbours: div(D grad u) times its area, in mm^2/ms."""
    total = np.zeros(u.shape)
    _receive(total, np.asarray(u, dtype=np.float64), link)
    return total


@kernel()
def _fill(link: Links, d: Field, diagonal_share: float) -> None:
    """Every link of a raster of D, in place."""
    rows, cols = d.shape
    for r in range(rows):
        for c in range(cols - 1):
            beside = (_open(d, r - 1, c) + _open(d, r, c)) * 0.5
            link.right[r, c] = _harmonic_mean(d[r, c], d[r, c + 1]) * (1 - diagonal_share * beside)
    for r in range(rows - 1):
        for c in range(cols):
            beside = (_open(d, r, c - 1) + _open(d, r, c)) * 0.5
            link.down[r, c] = _harmonic_mean(d[r, c], d[r + 1, c]) * (1 - diagonal_share * beside)
        for c in range(cols - 1):
            share = diagonal_share * _open(d, r, c) * 0.5
            link.falling[r, c] = _harmonic_mean(d[r, c], d[r + 1, c + 1]) * share
            link.rising[r, c] = _harmonic_mean(d[r + 1, c], d[r, c + 1]) * share


@kernel(inline=True)
def _open(d: Field, row: int, col: int) -> float:
    """1 if a square of four cells, named by its top left one, lies inside and conducts."""
    rows, cols = d.shape
    if row < 0 or col < 0 or row + 1 >= rows or col + 1 >= cols:
        return 0.0
    square = d[row, col] * d[row, col + 1] * d[row + 1, col] * d[row + 1, col + 1]
    return 1.0 if square > 0 else 0.0


@kernel(inline=True)
def _harmonic_mean(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b > 0 else 0.0


@kernel()
def _receive(total: Field, u: Field, link: Links) -> None:
    """Adds to each cell of `total` what its neighbours send, in place."""
    for r in range(len(u)):
        exchange_in_row(total[r], u[r], link, r)
        if r + 1 < len(u):
            exchange_with_next(total[r], total[r + 1], u[r], u[r + 1], link, r)


@kernel(inline=True)
def exchange_in_row(total: Row, u: Row, link: Links, r: int) -> None:
    """Adds what the cells of row r send each other, in place.

    In loops that read and write no cell twice, here and below: those the compiler vectorises.
    """
    for c in range(len(u) - 1):
        total[c] += link.right[r, c] * (u[c + 1] - u[c])
    for c in range(len(u) - 1):
        total[c + 1] -= link.right[r, c] * (u[c + 1] - u[c])


@kernel(inline=True)
def exchange_with_next(
    total: Row, total_below: Row, u: Row, u_below: Row, link: Links, r: int
) -> None:
    """Adds what row r and the row below send each other, in place."""
    for c in range(len(u)):
        flux = link.down[r, c] * (u_below[c] - u[c])
        total[c] += flux
        total_below[c] -= flux
    for c in range(len(u) - 1):
        flux = link.falling[r, c] * (u_below[c + 1] - u[c])
        total[c] += flux
        total_below[c + 1] -= flux
    for c in range(len(u) - 1):
        flux = link.rising[r, c] * (u_below[c] - u[c + 1])
        total[c + 1] += flux
        total_below[c] -= flux
