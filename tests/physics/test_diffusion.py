from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.physics.diffusion import DIAGONAL_FRACTION, divergence, links
from fwdecg.physics.tissue import Tissue

D = 0.1
FRACTIONS = pytest.mark.parametrize("fraction", [0.0, DIAGONAL_FRACTION])


@st.composite
def scarred_tissues(draw):
    """Draw tissue of random size with random scars and a random D in each cell."""
    rows, cols = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    diffusivity = rng.uniform(0.01, 0.1, (rows, cols)) * (rng.random((rows, cols)) > 0.3)
    diffusivity[rng.integers(rows), rng.integers(cols)] = 0.05
    return Tissue(spacing_mm=draw(st.floats(0.05, 0.5)), diffusivity_mm2_per_ms=diffusivity)


def square(cells, size_mm=1.0):
    spacing_mm = size_mm / cells
    return Tissue(spacing_mm=spacing_mm, diffusivity_mm2_per_ms=np.full((cells, cells), D))


def cosine(cells, waves_x=1, waves_y=2):
    """Return cos(pi m x) cos(pi n y) on the unit square, which has no flux at the edges."""
    centre = (np.arange(cells) + 0.5) / cells
    return np.cos(np.pi * waves_y * centre)[:, None] * np.cos(np.pi * waves_x * centre)[None]


@FRACTIONS
def test_a_cosine_is_an_eigenvector_with_the_exact_discrete_eigenvalue(fraction):
    # With s_m = sin^2(pi m h / 2) the five-point formula has the eigenvalue -4 (s_x + s_y); the
    # diagonals subtract their fraction of 8 s_x s_y. The even continuation of the mode satisfies
    # the no-flux condition exactly.
    cells, u = 20, cosine(20)
    spacing = 1 / cells
    s_x, s_y = (np.sin(np.pi * m * spacing / 2) ** 2 for m in (1, 2))
    eigenvalue = -4 * D / spacing**2 * (s_x + s_y - 2 * fraction * s_x * s_y)
    inside = (slice(1, -1), slice(1, -1))
    found = divergence(u, square(cells), fraction)
    np.testing.assert_allclose(found[inside], (eigenvalue * u)[inside], rtol=0, atol=1e-10)
    if fraction == 0:
        np.testing.assert_allclose(found, eigenvalue * u, rtol=0, atol=1e-10)


def test_the_leading_error_is_the_same_in_all_directions():
    # For a plane mode exp(i k x) at any angle the leading error is k^4 h^2 / 12.
    cells, spacing, k = 41, 0.02, 10.0
    tissue = Tissue(spacing_mm=spacing, diffusivity_mm2_per_ms=np.full((cells, cells), D))
    offset = (np.arange(cells) - cells // 2) * spacing
    errors = []
    for angle in np.linspace(0, np.pi / 4, 5):
        u = np.cos(k * (np.cos(angle) * offset[None] + np.sin(angle) * offset[:, None]))
        middle = divergence(u, tissue)[cells // 2, cells // 2]
        errors.append(middle / (-D * k**2) - 1)
    np.testing.assert_allclose(errors, -((k * spacing) ** 2) / 12, rtol=0.01)


def test_links_are_harmonic_means_and_0_at_scars():
    tissue = Tissue(spacing_mm=1.0, diffusivity_mm2_per_ms=np.array([[0.1, 0.05, 0.0]]))
    np.testing.assert_allclose(links(tissue).right, [[2 * 0.1 * 0.05 / 0.15, 0.0]])
    assert links(tissue).down.shape == (0, 3)


def test_nothing_flows_between_scars_that_touch_at_a_corner():
    diffusivity = np.array([[D, 0.0], [0.0, D]])
    tissue = Tissue(spacing_mm=1.0, diffusivity_mm2_per_ms=diffusivity)
    assert not divergence(np.array([[1.0, 0.0], [0.0, 0.0]]), tissue).any()


@FRACTIONS
def test_diffusion_along_an_edge_is_as_fast_as_in_the_open(fraction):
    # u depends on x alone, so every row must have the same second derivative, also beside a scar.
    diffusivity = np.full((9, 12), D)
    diffusivity[4] = 0
    tissue = Tissue(spacing_mm=0.5, diffusivity_mm2_per_ms=diffusivity)
    u = np.tile(np.arange(12.0) ** 2, (9, 1))
    found = divergence(u, tissue, fraction)[[0, 1, 3, 5, 8], 1:-1]
    np.testing.assert_allclose(found, 2 * D / 0.5**2, rtol=1e-12)


@given(tissue=scarred_tissues(), seed=st.integers(0, 99))
def test_charge_is_conserved_around_scars(tissue, seed):
    u = np.random.default_rng(seed).random(tissue.diffusivity_mm2_per_ms.shape)
    total = divergence(u, tissue)
    # The rounding error of a cell is below 4 eps times its largest flux, D max|du| / spacing^2.
    scale = 4 * 0.1 / tissue.spacing_mm**2
    assert abs(total.sum()) <= total.size * np.finfo(float).eps * scale
    assert not total[~tissue.conducts].any()


@given(tissue=scarred_tissues(), seed=st.integers(0, 99))
def test_the_operator_is_symmetric(tissue, seed):
    a, b = np.random.default_rng(seed).random((2, *tissue.diffusivity_mm2_per_ms.shape))
    left, right = (a * divergence(b, tissue)).sum(), (b * divergence(a, tissue)).sum()
    assert left == pytest.approx(right, abs=1e-12 * a.size * 0.4 / tissue.spacing_mm**2)


@FRACTIONS
def test_the_exact_solution_of_pathmanathan_and_gray(fraction):
    # The monodomain problem of Pathmanathan & Gray (2014, doi 10.1002/cnm.2615) with isotropic
    # conductivity, chi = 3, C = 2 and three cell variables: V = sqrt(1 + t) cos(pi x) cos(2 pi y).
    in_space = [pathmanathan_gray_error(n, 1 / (4 * n**2), fraction) for n in (8, 16, 32)]
    np.testing.assert_allclose(-np.diff(np.log2(in_space)), 2.0, atol=0.3)
    fields = [pathmanathan_gray_voltage(8, dt, fraction) for dt in (0.04, 0.02, 0.01)]
    differences = [np.abs(a - b).max() for a, b in pairwise(fields)]
    assert np.log2(differences[0] / differences[1]) == pytest.approx(1.0, abs=0.2)


def pathmanathan_gray_voltage(cells, dt, fraction, end=0.4):
    """Return V at t = `end` by explicit Euler from the exact solution at t = 0."""
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
        v_next = v + dt * (divergence(v, tissue, fraction) - current / capacitance)
        u1_next = u1 + dt * (a**2 * u2**2 + a * u2**2 * v / 2)
        u2 = u2 - dt * a * u2**3
        v, u1 = v_next, u1_next
    return v


def pathmanathan_gray_error(cells, dt, fraction):
    exact = np.sqrt(1.4) * cosine(cells)
    return np.abs(pathmanathan_gray_voltage(cells, dt, fraction) - exact).max()
