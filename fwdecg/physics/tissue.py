"""Tissue: D on a raster of cells, and square sheets in mm that can be rasterised at any spacing.

The diffusion coefficient D is in mm^2/ms throughout. The paper prints mm^2 s^-1, which would be far
too slow for a heart: a wave runs at 0.65 m/s at D = 0.1 mm^2/ms, and at 0.02 m/s at 0.1 mm^2/s.
D = 0 marks tissue that does not conduct; it carries no charge and stays at rest.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fwdecg.errors import TissueError
from fwdecg.physics.raster import cell_centres_mm, interpolate
from fwdecg.shapes import Field, Mask, Numbers, number_array, single_number


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

    def covers(self, cells: int, size_mm: float) -> Mask:
        """Return the mask of the patches on `cells` x `cells` cells of a sheet."""
        return self.field.on_cells(cells, size_mm) > self.threshold


@dataclass(frozen=True, kw_only=True)
class Ellipses:
    """Non-conducting elliptic patches, which may overlap and extend beyond the sheet.

    Attributes:
        centres_mm: x and y of each centre.
        half_axes_mm: longer and shorter half-axis of each ellipse.
        angles_rad: angle from the x axis to the longer half-axis, towards y.
    """

    centres_mm: Float[np.ndarray, "patch 2"]
    half_axes_mm: Float[np.ndarray, "patch 2"]
    angles_rad: Float[np.ndarray, " patch"]

    def covers(self, cells: int, size_mm: float) -> Mask:
        """Return the mask of the patches on `cells` x `cells` cells of a sheet."""
        position_mm = cell_centres_mm(cells, size_mm / cells)
        mask = np.zeros((cells, cells), dtype=bool)
        for centre_mm, axes_mm, angle in zip(
            self.centres_mm, self.half_axes_mm, self.angles_rad, strict=True
        ):
            reach_mm = axes_mm.max()
            col, row = (
                slice(*position_mm.searchsorted((at_mm - reach_mm, at_mm + reach_mm)))
                for at_mm in centre_mm
            )
            right_mm = position_mm[col] - centre_mm[0]
            down_mm = position_mm[row, None] - centre_mm[1]
            along = (right_mm * np.cos(angle) + down_mm * np.sin(angle)) / axes_mm[0]
            across = (down_mm * np.cos(angle) - right_mm * np.sin(angle)) / axes_mm[1]
            mask[row, col] |= along**2 + across**2 < 1
        return mask


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


@dataclass(frozen=True, kw_only=True, init=False, eq=False)
class Tissue:
    """D on a raster of square cells; the sheet may be a rectangle.

    Attributes:
        spacing_mm: side of a cell.
        diffusivity_mm2_per_ms: D of each cell, 0 where the tissue does not conduct.
    """

    spacing_mm: float
    diffusivity_mm2_per_ms: Field

    def __init__(
        self,
        *,
        diffusivity_mm2_per_ms: Numbers,
        spacing_mm: float,
        scar: Numbers | None = None,
        shape: tuple[int, int] | None = None,
    ) -> None:
        """Rasterise D and cut out the scar.

        Args:
            diffusivity_mm2_per_ms: D of each cell, (row, col), or one number for all cells. Rows
                count downwards from the top edge.
            spacing_mm: side of a cell.
            scar: mask (row, col) of the cells that do not conduct.
            shape: rows and columns, if D is a number and there is no scar.

        Raises:
            TissueError: spacing, D or scar is invalid, their shapes differ, or no cell conducts.
        """
        side_mm = single_number(spacing_mm, "spacing_mm", TissueError)
        if not 0 < side_mm < np.inf:
            raise TissueError(f"spacing_mm = {side_mm}: must be above 0 and finite")
        diffusivity = number_array(diffusivity_mm2_per_ms, "diffusivity_mm2_per_ms", TissueError)
        mask = None if scar is None else _scar_mask(scar)
        if diffusivity.ndim == 0:
            diffusivity = np.full(_shape_of_sheet(mask, shape), float(diffusivity))
        elif diffusivity.ndim != 2 or (shape is not None and diffusivity.shape != tuple(shape)):
            raise TissueError(
                f"diffusivity_mm2_per_ms has shape {diffusivity.shape}: must be a number or an "
                f"array (row, col){'' if shape is None else f' = {tuple(shape)}'}"
            )
        diffusivity = diffusivity.astype(np.float64)
        if mask is not None:
            if mask.shape != diffusivity.shape:
                raise TissueError(
                    f"scar has shape {mask.shape}, diffusivity_mm2_per_ms {diffusivity.shape}: "
                    "both must be (row, col) of the same cells"
                )
            diffusivity[mask] = 0.0
        if not np.isfinite(diffusivity).all() or diffusivity.min(initial=0.0) < 0:
            raise TissueError("diffusivity_mm2_per_ms must be finite and at least 0 in every cell")
        if not diffusivity.any():
            raise TissueError("no cell conducts: at least one diffusivity must be above 0")
        object.__setattr__(self, "spacing_mm", side_mm)
        object.__setattr__(self, "diffusivity_mm2_per_ms", diffusivity)

    @property
    def conducts(self) -> Mask:
        """Mask of the conducting cells."""
        return self.diffusivity_mm2_per_ms > 0

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height of the sheet."""
        rows, cols = self.diffusivity_mm2_per_ms.shape
        return cols * self.spacing_mm, rows * self.spacing_mm

    def resampled(self, largest_spacing_mm: float) -> "Tissue":
        """Return the same sheet on the cells closest to a spacing that the raster allows.

        Larger cells are divided evenly, so that every scar keeps its outline. Smaller ones are
        merged in squares where rows and columns are divisible. The merged cells that conduct least
        become scar, as many as keep the scar's area; the others have the mean D of what conducts.

        Args:
            largest_spacing_mm: upper bound of the side of a cell.
        """
        divisor = int(np.ceil(self.spacing_mm / largest_spacing_mm - 1e-9))
        if divisor > 1:
            finer = self.diffusivity_mm2_per_ms.repeat(divisor, axis=0).repeat(divisor, axis=1)
            return Tissue(spacing_mm=self.spacing_mm / divisor, diffusivity_mm2_per_ms=finer)
        common = math.gcd(*self.diffusivity_mm2_per_ms.shape)
        most = int(largest_spacing_mm / self.spacing_mm + 1e-9)
        factor = max(each for each in range(1, min(most, common) + 1) if common % each == 0)
        if factor == 1:
            return self
        return Tissue(
            spacing_mm=self.spacing_mm * factor,
            diffusivity_mm2_per_ms=_merge(self.diffusivity_mm2_per_ms, factor),
        )


def _scar_mask(scar: Numbers) -> Mask:
    mask = number_array(scar, "scar", TissueError)
    if mask.ndim != 2 or not np.isin(mask, (0, 1)).all():
        raise TissueError(
            f"scar is an array of shape {mask.shape} and type {mask.dtype}: must be a mask (row, "
            "col) of truth values, true where the tissue does not conduct; compare an image with "
            "a threshold first (fwdecg.scar_mask)"
        )
    return mask.astype(bool)


def _shape_of_sheet(mask: Mask | None, shape: tuple[int, int] | None) -> tuple[int, int]:
    """Return rows and columns of a sheet whose D is a single number."""
    if shape is None and mask is None:
        raise TissueError(
            "diffusivity_mm2_per_ms is a number: give the rows and columns of the sheet as shape, "
            "or a scar mask"
        )
    sides = number_array(mask.shape if shape is None else shape, "shape", TissueError)  # type: ignore[union-attr]
    if sides.shape != (2,) or sides.dtype.kind not in "iu" or sides.min() < 1:
        raise TissueError(
            f"shape = {shape}: must be two whole numbers, at least one row and one column"
        )
    rows, cols = sides.tolist()
    return rows, cols


def _merge(
    diffusivity: Float[np.ndarray, "fine_row fine_col"], factor: int
) -> Float[np.ndarray, "row col"]:
    """Return D on cells of `factor` x `factor` cells, with the same conducting area."""
    rows, cols = (side // factor for side in diffusivity.shape)
    blocks = diffusivity.reshape(rows, factor, cols, factor)
    conducting = (blocks > 0).sum(axis=(1, 3))
    mean = blocks.sum(axis=(1, 3), dtype=np.float64) / np.maximum(conducting, 1)
    scars = rows * cols - max(round(conducting.sum() / factor**2), 1)
    mean.ravel()[conducting.ravel().argsort(kind="stable")[:scars]] = 0.0
    return mean


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
    scar: Scar | Ellipses | None = None
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
            diffusivity[self.scar.covers(cells, self.size_mm)] = 0.0
        return Tissue(spacing_mm=self.size_mm / cells, diffusivity_mm2_per_ms=diffusivity)
