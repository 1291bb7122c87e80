from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.physics.diffusion import DIAGONAL_FRACTION, divergence, links
from fwdecg.physics.tissue import Tissue

D = 0.1
SHARES = pytest.mark.parametrize("share", [0.0, DIAGONAL_FRACTION])


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


@SHARES
def test_a_cosine_is_an_eigenvector_with_the_known_eigenvalue(share):
    # With s_m = sin^2(pi m h / 2) the five-point formula has -4 (s_x + s_y), the diagonals take
    # 8 s_x s_y of their share from it. No-flux edges are exact: the mode continues evenly.
    cells, u = 20, cosine(20)
    spacing = 1 / cells
    s_x, s_y = (np.sin(np.pi * m * spacing / 2) ** 2 for m in (1, 2))
    eigenvalue = -4 * D / spacing**2 * (s_x + s_y - 2 * share * s_x * s_y)
    inside = (slice(1, -1), slice(1, -1))
    found = divergence(u, square(cells), share)
    np.testing.assert_allclose(found[inside], (eigenvalue * u)[inside], rtol=0, atol=1e-10)
    if share == 0:
        np.testing.assert_allclose(found, eigenvalue * u, rtol=0, atol=1e-10)


@SHARES
def test_second_order_in_space(share):
    exact = -D * np.pi**2 * (1 + 4)
    errors = [
        np.abs(divergence(cosine(n), square(n), share) - exact * cosine(n))[1:-1, 1:-1].max()
        for n in (16, 32, 64)
    ]
    slopes = -np.diff(np.log2(errors))
    np.testing.assert_allclose(slopes, 2.0, atol=0.2)


def test_the_leading_error_is_the_same_in_all_directions():
    # On exp(i k x) a plane mode at any angle has the error k^4 h^2 / 12.
    cells, spacing, k = 41, 0.02, 10.0
    tissue = Tissue(spacing_mm=spacing, diffusivity_mm2_per_ms=np.full((cells, cells), D))
    offset = (np.arange(cells) - cells // 2) * spacing
    errors = []
    for angle in np.linspace(0, np.pi / 4, 5):
        u = np.cos(k * (np.cos(angle) * offset[None] + np.sin(angle) * offset[:, None]))
        middle = divergence(u, tissue)[cells // 2, cells // 2]
        errors.append(middle / (-D * k**2) - 1)
    np.testing.assert_allclose(errors, -((k * spacing) ** 2) / 12, rtol=0.01)


def test_links_are_harmonic_means_and_close_at_holes():
    tissue = Tissue(spacing_mm=1.0, diffusivity_mm2_per_ms=np.array([[0.1, 0.05, 0.0]]))
    np.testing.assert_allclose(links(tissue).right, [[2 * 0.1 * 0.05 / 0.15, 0.0]])
    assert links(tissue).down.shape == (0, 3)


def test_nothing_passes_between_scars_that_touch_at_a_corner():
    diffusivity = np.array([[D, 0.0], [0.0, D]])
    tissue = Tissue(spacing_mm=1.0, diffusivity_mm2_per_ms=diffusivity)
    assert not divergence(np.array([[1.0, 0.0], [0.0, 0.0]]), tissue).any()


@SHARES
def test_diffusion_along_an_edge_is_as_fast_as_in_the_open(share):
    # u depends on x alone, so every row must see the same second derivative, also beside a scar.
    diffusivity = np.full((9, 12), D)
    diffusivity[4] = 0
    tissue = Tissue(spacing_mm=0.5, diffusivity_mm2_per_ms=diffusivity)
    u = np.tile(np.arange(12.0) ** 2, (9, 1))
    found = divergence(u, tissue, share)[[0, 1, 3, 5, 8], 1:-1]
    np.testing.assert_allclose(found, 2 * D / 0.5**2, rtol=1e-12)


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


@SHARES
def test_the_exact_solution_of_pathmanathan_and_gray(share):
    # Their monodomain problem of 2014 (doi 10.1002/cnm.2615) with isotropic conductivity, chi = 3,
    # C = 2: V = sqrt(1 + t) F, F = cos(pi x) cos(2 pi y), with three cell variables.
    in_space = [pathmanathan_gray_error(n, 1 / (4 * n**2), share) for n in (8, 16, 32)]
    np.testing.assert_allclose(-np.diff(np.log2(in_space)), 2.0, atol=0.3)
    fields = [pathmanathan_gray_voltage(8, dt, share) for dt in (0.04, 0.02, 0.01)]
    differences = [np.abs(a - b).max() for a, b in pairwise(fields)]
    assert np.log2(differences[0] / differences[1]) == pytest.approx(1.0, abs=0.2)


def pathmanathan_gray_voltage(cells, dt, share, end=0.4):
    """V at t = `end` by explicit Euler, from the exact solution at t = 0."""
    chi, capacitance, d = 3.0, 2.0, 0.02
    beta = -5 * np.pi**2 * d * chi * capacitance
    centre = (np.arange(cells) + 0.5) / cells
    g = 1 + centre[None] * centre[:, None] ** 2
    v = cosine(cells)
    u1, u2 = g + v, g**-0.5
    tissue = Tissue(spacing_mm=1 / cells, diffusivity_mm2_per_ms=np.full((cells, cells), d))
    for _ in range(round(end / dt)):
        a = u1 - v
        current = -capacitance / 2 * a * u2**2 * v + beta * v / chi
        v_next = v + dt * (divergence(v, tissue, share) - current / capacitance)
        u1_next = u1 + dt * (a**2 * u2**2 + a * u2**2 * v / 2)
        u2 = u2 - dt * a * u2**3
        v, u1 = v_next, u1_next
    return v


def pathmanathan_gray_error(cells, dt, share):
    exact = np.sqrt(1.4) * cosine(cells)
    return np.abs(pathmanathan_gray_voltage(cells, dt, share) - exact).max()
