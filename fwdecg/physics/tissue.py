"""Tissue: a square sheet in mm, and its raster at any spacing.

The diffusion coefficient D is in mm^2/ms throughout. The paper prints mm^2 s^-1, which would be far
too slow for a heart: a wave runs at 0.65 m/s at D = 0.1 mm^2/ms, and at 0.02 m/s at 0.1 mm^2/s.
D = 0 marks tissue that does not conduct; it carries no charge and stays at rest.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fwdecg.errors import TissueError
from fwdecg.physics.raster import interpolate
from fwdecg.shapes import Field, Mask


@dataclass(frozen=True, kw_only=True)
class LatticeField:
    """A smooth field on a sheet, interpolated bilinearly between the nodes of a lattice.

    Attributes:
        values: values at the nodes, row by row from the top; the nodes cover the sheet.
        spacing_mm: distance between neighbouring nodes.
    """

    values: Float[np.ndarray, "node_row node_col"]
    spacing_mm: float

    def on_cells(self, cells: int, size_mm: float) -> Field:
        """Interpolate the field at the centres of `cells` x `cells` cells of a sheet."""
        return interpolate(
            self.values, lattice_spacing_mm=self.spacing_mm, cells=cells, size_mm=size_mm
        )


@dataclass(frozen=True, kw_only=True)
class Scar:
    """Non-conducting patches where a smooth field exceeds a threshold.

    Attributes:
        field: smooth field.
        threshold: value of the field above which the tissue does not conduct.
    """

    field: LatticeField
    threshold: float


@dataclass(frozen=True, kw_only=True)
class Variation:
    """Relative deviation of D from its bulk value: `amplitude` times a smooth field.

    Attributes:
        field: smooth field with values from -1 to 1.
        amplitude: largest relative deviation, at least 0 and below 1.
    """

    field: LatticeField
    amplitude: float

    def __post_init__(self) -> None:
        """Raise TissueError if D could fall to 0."""
        if not 0 <= self.amplitude < 1 or np.abs(self.field.values).max() > 1:
            raise TissueError(
                f"a variation of D of amplitude {self.amplitude:g} and field up to "
                f"{np.abs(self.field.values).max():g}: the amplitude must be at least 0 and "
                "below 1, the field at most 1"
            )


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """D on a raster of square cells.

    Attributes:
        spacing_mm: side of a cell.
        diffusivity_mm2_per_ms: D of each cell, 0 where the tissue does not conduct.
    """

    spacing_mm: float
    diffusivity_mm2_per_ms: Field

    def __post_init__(self) -> None:
        """Raise TissueError if spacing or diffusivity is invalid or no cell conducts."""
        diffusivity = self.diffusivity_mm2_per_ms
        if not self.spacing_mm > 0:
            raise TissueError(f"spacing_mm = {self.spacing_mm}: must be above 0")
        if not np.isfinite(diffusivity).all() or diffusivity.min() < 0:
            raise TissueError("diffusivity_mm2_per_ms must be finite and at least 0 in every cell")
        if not diffusivity.any():
            raise TissueError("no cell conducts: at least one diffusivity must be above 0")

    @property
    def conducts(self) -> Mask:
        """Mask of the conducting cells."""
        return self.diffusivity_mm2_per_ms > 0


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A square sheet in mm, independent of any raster.

    Attributes:
        size_mm: side of the sheet.
        diffusivity_mm2_per_ms: bulk D of the conducting tissue.
        scar: non-conducting patches, or None.
        variation: deviation of D from its bulk value, or None if D is uniform.
    """

    size_mm: float
    diffusivity_mm2_per_ms: float
    scar: Scar | None = None
    variation: Variation | None = None

    @property
    def diffusivity_bounds_mm2_per_ms(self) -> tuple[float, float]:
        """Lower and upper bound of D in the conducting tissue."""
        amplitude = self.variation.amplitude if self.variation else 0.0
        bulk = self.diffusivity_mm2_per_ms
        return bulk * (1 - amplitude), bulk * (1 + amplitude)

    def rasterise(self, spacing_mm: float) -> Tissue:
        """Return the raster of the largest cells that tile the sheet, at most `spacing_mm` wide."""
        cells = int(np.ceil(self.size_mm / spacing_mm - 1e-9))
        diffusivity = np.full((cells, cells), self.diffusivity_mm2_per_ms)
        if self.variation is not None:
            field = self.variation.field.on_cells(cells, self.size_mm)
            diffusivity *= 1 + self.variation.amplitude * field
        if self.scar is not None:
            field = self.scar.field.on_cells(cells, self.size_mm)
            diffusivity[field > self.scar.threshold] = 0.0
        return Tissue(spacing_mm=self.size_mm / cells, diffusivity_mm2_per_ms=diffusivity)
