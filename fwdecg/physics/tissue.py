"""Tissue: a square sheet described in mm, and its raster at any spacing.

The diffusion coefficient D is in mm^2/ms throughout. The paper prints mm^2 s^-1, which no heart
could conduct with: at D = 0.1 mm^2/ms the wave runs at 0.65 m/s, at 0.1 mm^2/s at 0.02 m/s.
D = 0 marks tissue that does not conduct; it holds no charge and stays at rest.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fwdecg.errors import TissueError
from fwdecg.physics.raster import interpolate
from fwdecg.shapes import Field, Mask


@dataclass(frozen=True, kw_only=True)
class Scar:
    """Non-conductive patches: where a smooth texture exceeds a threshold.

    Attributes:
        texture: values on a lattice of nodes that covers the sheet, row by row from the top.
        texture_spacing_mm: distance of neighbouring nodes.
        threshold: the tissue does not conduct where the interpolated texture is above this.
    """

    texture: Float[np.ndarray, "node_row node_col"]
    texture_spacing_mm: float
    threshold: float


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """A raster of square cells.

    Attributes:
        spacing_mm: side of a cell.
        diffusivity_mm2_per_ms: D of each cell, 0 where the tissue does not conduct.
    """

    spacing_mm: float
    diffusivity_mm2_per_ms: Field

    def __post_init__(self) -> None:
        """Refuse a raster that no wave can run on."""
        diffusivity = self.diffusivity_mm2_per_ms
        if not self.spacing_mm > 0:
            raise TissueError(f"spacing_mm = {self.spacing_mm}: must be above 0")
        if not np.isfinite(diffusivity).all() or diffusivity.min() < 0:
            raise TissueError("diffusivity_mm2_per_ms must be finite and at least 0 in every cell")
        if not diffusivity.any():
            raise TissueError("no cell conducts: at least one diffusivity must be above 0")

    @property
    def conducts(self) -> Mask:
        """True in the cells that conduct."""
        return self.diffusivity_mm2_per_ms > 0


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A square sheet in mm, independent of any raster.

    Attributes:
        size_mm: length of a side.
        diffusivity_mm2_per_ms: D of the conducting tissue.
        scar: patches that do not conduct, if any.
    """

    size_mm: float
    diffusivity_mm2_per_ms: float
    scar: Scar | None = None

    def rasterise(self, spacing_mm: float) -> Tissue:
        """The sheet on square cells of `spacing_mm` or a little less, so that they tile it."""
        cells = int(np.ceil(self.size_mm / spacing_mm - 1e-9))
        conducts = np.ones((cells, cells), dtype=bool)
        if self.scar is not None:
            texture = interpolate(
                self.scar.texture,
                lattice_spacing_mm=self.scar.texture_spacing_mm,
                cells=cells,
                size_mm=self.size_mm,
            )
            conducts = texture <= self.scar.threshold
        diffusivity = np.where(conducts, self.diffusivity_mm2_per_ms, 0.0)
        return Tissue(spacing_mm=self.size_mm / cells, diffusivity_mm2_per_ms=diffusivity)
