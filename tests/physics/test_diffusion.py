import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.physics.diffusion import divergence, faces
from fwdecg.physics.tissue import Tissue

D = 0.1


@st.composite
def holed_tissues(draw):
    """Tissue of random size, with random holes and a diffusivity that varies from cell to cell."""
    rows, cols = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    diffusivity = rng.uniform(0.01, 0.1, (rows, cols)) * (rng.random((rows, cols)) > 0.3)
    diffusivity[rng.integers(rows), rng.integers(cols)] = 0.05
    return Tissue(spacing_mm=draw(st.floats(0.05, 0.5)), diffusivity_mm2_per_ms=diffusivity)


def square(cells, size_mm=1.0):
    spacing_mm = size_mm / cells
    return Tissue(spacing_mm=spacing_mm, diffusivity_mm2_per_ms=np.full((cells, cells), D))


def cosine(cells, waves_x=1, waves_y=2):
    """cos(pi m x) cos(pi n y) on the unit square: no flux at its edges."""
    centre = (np.arange(cells) + 0.5) / cells
    return np.cos(np.pi * waves_y * centre)[:, None] * np.cos(np.pi * waves_x * centre)[None]


def test_a_cosine_is_an_eigenvector_with_the_known_eigenvalue():
    cells, u = 20, cosine(20)
    spacing = 1 / cells
    eigenvalue = -4 * D / spacing**2 * sum(np.sin(np.pi * m * spacing / 2) ** 2 for m in (1, 2))
    np.testing.assert_allclose(divergence(u, square(cells)), eigenvalue * u, rtol=0, atol=1e-10)


def test_second_order_in_space():
    exact = -D * np.pi**2 * (1 + 4)
    errors = [
        np.abs(divergence(cosine(n), square(n)) - exact * cosine(n)).max() for n in (16, 32, 64)
    ]
    slopes = -np.diff(np.log2(errors))
    np.testing.assert_allclose(slopes, 2.0, atol=0.2)


def test_faces_are_harmonic_means_and_close_at_holes():
    tissue = Tissue(spacing_mm=1.0, diffusivity_mm2_per_ms=np.array([[0.1, 0.05, 0.0]]))
    np.testing.assert_allclose(faces(tissue).x, [[2 * 0.1 * 0.05 / 0.15, 0.0]])
    assert faces(tissue).y.shape == (0, 3)


@given(tissue=holed_tissues(), seed=st.integers(0, 99))
def test_nothing_is_gained_or_lost_around_holes(tissue, seed):
    u = np.random.default_rng(seed).random(tissue.diffusivity_mm2_per_ms.shape)
    total = divergence(u, tissue)
    # Rounding of each cell is below eps times its largest flux, D max|du| / spacing^2, times 4.
    scale = 4 * 0.1 / tissue.spacing_mm**2
    assert abs(total.sum()) <= total.size * np.finfo(float).eps * scale
    assert not total[~tissue.conducts].any()


@given(tissue=holed_tissues(), seed=st.integers(0, 99))
def test_the_operator_is_symmetric(tissue, seed):
    a, b = np.random.default_rng(seed).random((2, *tissue.diffusivity_mm2_per_ms.shape))
    left, right = (a * divergence(b, tissue)).sum(), (b * divergence(a, tissue)).sum()
    assert left == pytest.approx(right, abs=1e-12 * a.size * 0.4 / tissue.spacing_mm**2)


def test_uniform_voltage_does_not_diffuse():
    assert not divergence(np.full((8, 8), 0.7), square(8)).any()
