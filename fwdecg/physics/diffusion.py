"""div(D grad u) by cell-centred finite volumes with zero flux at edges and non-conducting cells.

The flux through a face is D_face (u_b - u_a) / spacing with the harmonic mean
D_face = 2 D_a D_b / (D_a + D_b), which is 0 if either side does not conduct. What leaves a cell
enters its neighbour, so the sum over the sheet is exactly 0; the operator is symmetric.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from fwdecg.physics.tissue import Tissue
from fwdecg.shapes import Field


class Faces(NamedTuple):
    """Diffusivity of the inner faces in mm^2/ms: `x` between columns, `y` between rows."""

    x: Float[np.ndarray, "row inner_col"]
    y: Float[np.ndarray, "inner_row col"]


def faces(tissue: Tissue) -> Faces:
    """Harmonic means of D over the inner faces of a tissue."""
    diffusivity = tissue.diffusivity_mm2_per_ms.astype(np.float64)
    return Faces(
        x=_harmonic_mean(diffusivity[:, :-1], diffusivity[:, 1:]),
        y=_harmonic_mean(diffusivity[:-1], diffusivity[1:]),
    )


def divergence(u: Field, tissue: Tissue) -> Field:
    """div(D grad u) per cell, in units of u per ms."""
    face = faces(tissue)
    flux_x = face.x * np.diff(u, axis=1)
    flux_y = face.y * np.diff(u, axis=0)
    total = np.zeros(u.shape)
    total[:, :-1] += flux_x
    total[:, 1:] -= flux_x
    total[:-1] += flux_y
    total[1:] -= flux_y
    return total / tissue.spacing_mm**2


def _harmonic_mean(a: Field, b: Field) -> Field:
    total = a + b
    return 2 * a * b / np.where(total > 0, total, 1.0)
