import numpy as np
import pytest

from fwdecg.errors import TissueError
from fwdecg.physics.tissue import Scar, Sheet, Tissue

# A texture that rises from left to right: everything right of x = 6 mm is scar.
LATTICE = np.broadcast_to(np.arange(12.0), (12, 12))
SCAR = Scar(texture=LATTICE, texture_spacing_mm=1.0, threshold=6.0)


def test_cells_tile_the_sheet_and_are_no_larger_than_asked():
    tissue = Sheet(size_mm=10.0, diffusivity_mm2_per_ms=0.1).rasterise(0.3)
    cells = tissue.diffusivity_mm2_per_ms.shape[0]
    assert tissue.spacing_mm <= 0.3
    assert cells * tissue.spacing_mm == pytest.approx(10.0)
    assert Sheet(size_mm=10.0, diffusivity_mm2_per_ms=0.1).rasterise(0.1).spacing_mm == 0.1


@pytest.mark.parametrize("spacing_mm", [0.5, 0.21, 0.05])
def test_scars_keep_their_place_at_any_spacing(spacing_mm):
    tissue = Sheet(size_mm=10.0, diffusivity_mm2_per_ms=0.1, scar=SCAR).rasterise(spacing_mm)
    edge_mm = tissue.conducts[0].sum() * tissue.spacing_mm
    assert edge_mm == pytest.approx(6.0, abs=tissue.spacing_mm)
    assert set(np.unique(tissue.diffusivity_mm2_per_ms)) == {0.0, 0.1}


@pytest.mark.parametrize(
    ("spacing_mm", "diffusivity", "message"),
    [
        (0.0, 0.1, "spacing_mm = 0.0: must be above 0"),
        (0.1, -0.1, "finite and at least 0"),
        (0.1, np.nan, "finite and at least 0"),
        (0.1, 0.0, "no cell conducts"),
    ],
)
def test_impossible_tissue_is_refused(spacing_mm, diffusivity, message):
    with pytest.raises(TissueError, match=message):
        Tissue(spacing_mm=spacing_mm, diffusivity_mm2_per_ms=np.full((3, 3), diffusivity))
