import numpy as np
import pytest

from fwdecg.errors import TissueError
from fwdecg.physics.tissue import LatticeField, Scar, Sheet, Tissue, Variation

# A field that rises from left to right, so that everything right of x = 6 mm is scar.
LATTICE = np.broadcast_to(np.arange(12.0), (12, 12))
SCAR = Scar(field=LatticeField(values=LATTICE, spacing_mm=1.0), threshold=6.0)


def test_cells_tile_the_sheet_within_the_requested_spacing():
    tissue = Sheet(size_mm=10.0, diffusivity_mm2_per_ms=0.1).rasterise(0.3)
    cells = tissue.diffusivity_mm2_per_ms.shape[0]
    assert tissue.spacing_mm <= 0.3
    assert cells * tissue.spacing_mm == pytest.approx(10.0)
    assert Sheet(size_mm=10.0, diffusivity_mm2_per_ms=0.1).rasterise(0.1).spacing_mm == 0.1


@pytest.mark.parametrize("spacing_mm", [0.5, 0.21, 0.05])
def test_d_follows_the_smooth_field_at_any_spacing(spacing_mm):
    # A field that rises from -0.5 at the left edge to 0.5 at the right one.
    field = LatticeField(values=LATTICE[:11, :11] / 10 - 0.5, spacing_mm=1.0)
    variation = Variation(field=field, amplitude=0.4)
    sheet = Sheet(size_mm=10.0, diffusivity_mm2_per_ms=0.1, scar=SCAR, variation=variation)
    tissue = sheet.rasterise(spacing_mm)
    cells = tissue.diffusivity_mm2_per_ms.shape[0]
    x_mm = (np.arange(cells) + 0.5) * tissue.spacing_mm
    expected = np.where(x_mm <= 6.0, 0.1 * (1 + 0.4 * (x_mm / 10 - 0.5)), 0.0)
    np.testing.assert_allclose(tissue.diffusivity_mm2_per_ms, np.tile(expected, (cells, 1)))
    assert sheet.diffusivity_bounds_mm2_per_ms == pytest.approx((0.06, 0.14))


@pytest.mark.parametrize(("amplitude", "largest"), [(1.0, 1.0), (-0.1, 1.0), (0.5, 1.1)])
def test_variations_that_could_reduce_d_to_0_are_rejected(amplitude, largest):
    field = LatticeField(values=np.full((2, 2), -largest), spacing_mm=1.0)
    with pytest.raises(TissueError, match="amplitude must be at least 0 and below 1"):
        Variation(field=field, amplitude=amplitude)


@pytest.mark.parametrize(
    ("spacing_mm", "diffusivity", "message"),
    [
        (0.0, 0.1, "spacing_mm = 0.0: must be above 0"),
        (0.1, -0.1, "finite and at least 0"),
        (0.1, np.nan, "finite and at least 0"),
        (0.1, 0.0, "no cell conducts"),
    ],
)
def test_invalid_tissue_is_rejected(spacing_mm, diffusivity, message):
    with pytest.raises(TissueError, match=message):
        Tissue(spacing_mm=spacing_mm, diffusivity_mm2_per_ms=np.full((3, 3), diffusivity))
