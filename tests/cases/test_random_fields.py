import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.cases.random_fields import (
    FIELD_STANDARD_DEVIATION,
    NODES_PER_SMOOTHING_LENGTH,
    draw_gaussian_field,
    draw_scar,
    draw_variation,
    smoothing_length_mm,
)
from fwdecg.physics.tissue import Sheet

CORRELATION_LENGTH_MM = 4.0


@pytest.fixture(scope="module")
def fields():
    """Ten fields with 600 independent areas each: moments are accurate to about 1 %."""
    return [
        draw_gaussian_field(np.random.default_rng(seed), 100.0, 1.0).values for seed in range(10)
    ]


def test_field_has_the_stated_moments(fields):
    assert np.mean(fields) == pytest.approx(0.0, abs=0.02 * FIELD_STANDARD_DEVIATION)
    assert np.std(fields) == pytest.approx(FIELD_STANDARD_DEVIATION, rel=0.02)


@pytest.mark.parametrize("lengths", [1, 2, 3])
def test_field_has_gaussian_correlation(fields, lengths):
    lag = lengths * NODES_PER_SMOOTHING_LENGTH
    product = np.mean([(f[:, lag:] * f[:, :-lag]).mean() for f in fields])
    expected = np.exp(-(lengths**2) / 4)
    assert product / FIELD_STANDARD_DEVIATION**2 == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(("size_mm", "smoothing_mm"), [(10.0, 1.0), (10.0, 40.0), (7.3, 0.4)])
def test_lattice_covers_the_sheet(size_mm, smoothing_mm):
    field = draw_gaussian_field(np.random.default_rng(0), size_mm, smoothing_mm)
    assert (len(field.values) - 1) * field.spacing_mm >= size_mm
    assert np.isfinite(field.on_cells(50, size_mm)).all()


@pytest.mark.parametrize(("patch_size_mm", "fraction"), [(2.0, 0.05), (5.0, 0.1), (10.0, 0.4)])
def test_patches_have_the_requested_size_and_fraction(patch_size_mm, fraction):
    rasters = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        scar = draw_scar(rng, 100.0, patch_size_mm=patch_size_mm, fraction=fraction)
        sheet = Sheet(size_mm=100.0, diffusivity_mm2_per_ms=0.1, scar=scar)
        rasters.append(~sheet.rasterise(100 / 600).conducts)
    covered = np.mean([raster.mean() for raster in rasters])
    entries = np.mean([(raster[:, 1:] & ~raster[:, :-1]).sum() for raster in rasters])
    chord_mm = covered * rasters[0].size * (100 / 600) / entries
    # About 8 x 1000 patches at 2 mm and 8 x 40 at 10 mm: a statistical error of a few per cent.
    assert covered == pytest.approx(fraction, rel=0.05)
    assert chord_mm == pytest.approx(patch_size_mm, rel=0.1)


def test_smoothing_length_by_hand():
    # At half the area the threshold is 0, and the mean chord is pi sqrt(2) s.
    assert smoothing_length_mm(1.0, 0.5) == pytest.approx(1 / (np.pi * np.sqrt(2)))


def test_patches_do_not_depend_on_the_raster():
    scar = draw_scar(np.random.default_rng(5), 20.0, patch_size_mm=4.0, fraction=0.3)
    sheet = Sheet(size_mm=20.0, diffusivity_mm2_per_ms=0.1, scar=scar)
    coarse, fine = (sheet.rasterise(spacing_mm).conducts for spacing_mm in (0.2, 0.1))
    same = coarse.repeat(2, axis=0).repeat(2, axis=1) == fine
    assert same.mean() > 0.97  # all but the cells crossed by the edge of a patch


def sheet_of_varying_d(seed, amplitude, size_mm=100.0):
    rng = np.random.default_rng(seed)
    variation = draw_variation(rng, size_mm, amplitude=amplitude, length_mm=CORRELATION_LENGTH_MM)
    return Sheet(size_mm=size_mm, diffusivity_mm2_per_ms=0.05, variation=variation)


def deviations(seed, spacing_mm=1.0):
    diffusivity = sheet_of_varying_d(seed, 0.5).rasterise(spacing_mm).diffusivity_mm2_per_ms
    return diffusivity / 0.05 - 1


def test_variation_is_uniformly_distributed():
    # Eight sheets with about 200 independent areas: a quantile has an error of 0.01 of the range.
    found = np.quantile([deviations(seed) for seed in range(8)], (0.1, 0.25, 0.5, 0.75, 0.9))
    np.testing.assert_allclose(found, [-0.4, -0.25, 0.0, 0.25, 0.4], atol=0.04)


def test_variation_has_the_requested_correlation_length():
    # If two normal variables have correlation r, their uniform images have (6 / pi) asin(r / 2).
    fields = [deviations(seed) for seed in range(8)]
    lag = int(CORRELATION_LENGTH_MM)
    product = np.mean([(f[:, lag:] * f[:, :-lag]).mean() for f in fields])
    expected = 6 / np.pi * np.arcsin(np.exp(-1) / 2)
    assert product / (0.5**2 / 3) == pytest.approx(expected, abs=0.05)


@given(seed=st.integers(0, 999), amplitude=st.floats(0.0, 0.99), size_mm=st.floats(3.0, 30.0))
def test_varying_d_stays_within_its_bounds(seed, amplitude, size_mm):
    sheet = sheet_of_varying_d(seed, amplitude, size_mm)
    lowest, highest = sheet.diffusivity_bounds_mm2_per_ms
    diffusivity = sheet.rasterise(0.5).diffusivity_mm2_per_ms
    assert 0 < lowest <= diffusivity.min()
    assert diffusivity.max() <= highest * (1 + 1e-12)


def test_variation_does_not_depend_on_the_raster():
    coarse, fine = deviations(3, 0.5), deviations(3, 0.25)
    means = fine.reshape(200, 2, 200, 2).mean(axis=(1, 3))
    # The slope changes at each node, 0.67 mm apart, by about 0.5 (2 / 4)^2 0.67 = 0.08 per mm. In
    # the middle of a coarse cell this amounts to 0.08 0.125 / 2 = 0.005, twice in each direction.
    np.testing.assert_allclose(means, coarse, atol=0.02)
