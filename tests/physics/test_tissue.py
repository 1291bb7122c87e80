import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

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


def test_one_number_fills_a_sheet_and_a_scar_is_cut_out():
    scar = np.zeros((3, 5), bool)
    scar[1, 2] = True
    tissue = Tissue(diffusivity_mm2_per_ms=0.1, spacing_mm=0.5, scar=scar)
    np.testing.assert_array_equal(tissue.diffusivity_mm2_per_ms, np.where(scar, 0.0, 0.1))
    assert tissue.size_mm == (2.5, 1.5)
    same = Tissue(diffusivity_mm2_per_ms=np.full((3, 5), 0.1), spacing_mm=0.5, scar=scar.tolist())
    np.testing.assert_array_equal(same.diffusivity_mm2_per_ms, tissue.diffusivity_mm2_per_ms)


@pytest.mark.parametrize("dtype", [int, ">f4", np.float16, np.longdouble])
def test_d_of_any_type_is_converted(dtype):
    tissue = Tissue(diffusivity_mm2_per_ms=np.ones((2, 3), dtype), spacing_mm=1)
    assert tissue.diffusivity_mm2_per_ms.dtype == np.float64
    assert isinstance(tissue.spacing_mm, float)


@pytest.mark.parametrize("spacing_mm", [-0.5, 0.0, np.inf, np.nan])
def test_an_unsuitable_spacing_is_rejected(spacing_mm):
    with pytest.raises(TissueError, match="spacing_mm "):
        Tissue(diffusivity_mm2_per_ms=0.1, spacing_mm=spacing_mm, shape=(2, 2))


def test_the_users_array_is_not_changed():
    diffusivity, scar = np.full((2, 2), 0.1), np.eye(2, dtype=bool)
    Tissue(diffusivity_mm2_per_ms=diffusivity, spacing_mm=0.5, scar=scar)
    assert (diffusivity == 0.1).all()


@pytest.mark.parametrize("largest_mm", [2.0, 1.0, 0.7, 0.5, 0.3, 0.1])
def test_resampling_keeps_the_area_of_the_scar_and_the_mean_of_d(largest_mm):
    rng = np.random.default_rng(1)
    field = gaussian_filter(rng.standard_normal((48, 72)), 3)
    tissue = Tissue(diffusivity_mm2_per_ms=0.1 + 0.2 * field, spacing_mm=0.5, scar=field > 0.08)
    other = tissue.resampled(largest_mm)
    assert other.spacing_mm <= max(largest_mm, 0.5) + 1e-12
    assert other.size_mm == pytest.approx(tissue.size_mm)
    areas = [each.conducts.sum() * each.spacing_mm**2 for each in (tissue, other)]
    assert areas[1] == pytest.approx(areas[0], abs=other.spacing_mm**2 / 2)
    means = [each.diffusivity_mm2_per_ms[each.conducts].mean() for each in (tissue, other)]
    assert means[1] == pytest.approx(means[0], rel=0.02)
    if largest_mm < 0.5:  # cells are divided, so that every outline stays
        factor = round(0.5 / other.spacing_mm)
        np.testing.assert_array_equal(other.conducts[::factor, ::factor], tissue.conducts)


def test_cells_are_merged_only_if_they_tile_the_sheet():
    tissue = Tissue(diffusivity_mm2_per_ms=0.1, spacing_mm=0.1, shape=(30, 45))
    assert tissue.resampled(0.55).spacing_mm == 0.5
    prime = Tissue(diffusivity_mm2_per_ms=0.1, spacing_mm=0.1, shape=(31, 45))
    assert prime.resampled(0.55) is prime


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"diffusivity_mm2_per_ms": 0.1}, "is a number: give the rows and columns"),
        ({"diffusivity_mm2_per_ms": [0.1, 0.1]}, r"has shape \(2,\): must be a number or an array"),
        (
            {"diffusivity_mm2_per_ms": np.full((2, 2), 0.1), "scar": np.zeros((2, 3))},
            r"scar has shape \(2, 3\), diffusivity_mm2_per_ms \(2, 2\)",
        ),
        ({"diffusivity_mm2_per_ms": 0.1, "scar": [[0.5]]}, "must be a mask .* truth values"),
        ({"diffusivity_mm2_per_ms": 0.1, "shape": (0, 3)}, r"shape = \(0, 3\): must be two"),
        ({"diffusivity_mm2_per_ms": [["a"]]}, "holds <U1 values: must be real numbers"),
        ({"diffusivity_mm2_per_ms": np.ma.masked_less([[0.1, 0.2]], 0.15)}, "has 1 masked values"),
    ],
)
def test_tissue_from_unsuitable_arrays_is_rejected(arguments, message):
    with pytest.raises(TissueError, match=message):
        Tissue(spacing_mm=0.5, **arguments)
