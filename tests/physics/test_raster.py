import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.physics.raster import (
    area_mean,
    area_mean_transpose,
    cell_centres_mm,
    interpolate,
    pixel_mean,
)


def test_cell_centres():
    np.testing.assert_allclose(cell_centres_mm(3, 2.0), [1.0, 3.0, 5.0])


def test_interpolation_is_exact_for_bilinear_fields():
    y, x = np.mgrid[0:6, 0:6] * 2.0  # 2 mm lattice over a 10 mm sheet
    found = interpolate(1 + 2 * x - y + 0.5 * x * y, lattice_spacing_mm=2.0, cells=7, size_mm=10.0)
    centres = cell_centres_mm(7, 10 / 7)
    expected = 1 + 2 * centres[None] - centres[:, None] + 0.5 * centres[None] * centres[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_area_mean_divides_cells_that_lie_in_two_pixels():
    # Three cells over two pixels: half of the middle one belongs to each pixel.
    field = np.broadcast_to([[0.0, 3.0, 6.0]], (3, 3))
    np.testing.assert_allclose(area_mean(field, 2), [[1.0, 5.0], [1.0, 5.0]])


def test_pixels_without_tissue_are_exactly_zero():
    field = np.ones((90, 90))
    field[:, 30:60] = 0
    assert not area_mean(field, 9)[:, 3:6].any()


@given(fine=st.integers(1, 40), coarse=st.integers(1, 40), seed=st.integers(0, 99))
def test_area_mean_conserves_the_total(fine, coarse, seed):
    field = np.random.default_rng(seed).random((fine, fine))
    assert area_mean(field, coarse).mean() == pytest.approx(field.mean(), rel=1e-12)


@given(fine=st.integers(1, 40), coarse=st.integers(1, 40), seed=st.integers(0, 99))
def test_the_transpose_of_the_area_mean(fine, coarse, seed):
    rng = np.random.default_rng(seed)
    field, weights = rng.random((fine, fine)), rng.random((2, coarse, coarse))
    found = (area_mean_transpose(weights, fine) * field).sum(axis=(1, 2))
    np.testing.assert_allclose(found, (weights * area_mean(field, coarse)).sum(axis=(1, 2)))


@given(
    rows=st.integers(1, 20),
    cols=st.integers(1, 20),
    pixel_mm=st.floats(0.3, 4.0),
    seed=st.integers(0, 99),
)
def test_pixels_of_a_rectangle_conserve_the_total(rows, cols, pixel_mm, seed):
    field = np.random.default_rng(seed).random((2, rows, cols))
    means = pixel_mean(field, 0.5, pixel_mm)
    assert means.shape[1:] == tuple(np.ceil(np.round([rows, cols]) * 0.5 / pixel_mm - 1e-9))
    total = field.sum(axis=(1, 2)) * 0.5**2
    np.testing.assert_allclose(means.sum(axis=(1, 2)) * pixel_mm**2, total, rtol=1e-6)


def test_the_last_pixels_extend_beyond_the_sheet():
    means = pixel_mean(np.ones((1, 2, 5)), 1.0, 2.0)
    np.testing.assert_allclose(means, [[[1.0, 1.0, 0.5]]])
