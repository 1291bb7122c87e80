import platform

import numba
import numpy as np
import pytest

from fwdecg.kernels.compile import FAST_MATH_FLAGS, SOURCE_HASH
from fwdecg.kernels.numba_private import source_stamp
from fwdecg.physics import activity, stepping
from fwdecg.physics.diffusion import DIAGONAL_FRACTION, divergence, links
from fwdecg.physics.fenton_karma import PARAMETER_SETS, step_constants
from fwdecg.physics.padded_grid import LANES, TILE, PaddedGrid
from fwdecg.physics.stepping import (
    STEPS_PER_SWEEP,
    CellRuns,
    Coupling,
    State,
    advance,
    whole_sheet,
)
from fwdecg.physics.tissue import Tissue

DT_MS = 0.02
SPACING_MM = 0.1
ROWS, COLS = 13, 29
FK_CAF = PARAMETER_SETS["FK-CAF"]
SETS = pytest.mark.parametrize("name", PARAMETER_SETS)
SCHEMES = pytest.mark.parametrize("plain", [True, False], ids=["plain", "default"])


def currents(u, v, w, p):
    """Return J_fi, J_so and J_si in float64 as Fenton & Karma (1998) print them."""
    excited = np.where(u >= p.u_c, 1.0, 0.0)
    j_fi = -v * excited * (1 - u) * (u - p.u_c) / p.tau_d
    j_so = u * (1 - excited) / p.tau_0 + excited / p.tau_r
    j_si = -w * (1 + np.tanh(p.k * (u - p.u_csi))) / (2 * p.tau_si)
    return j_fi, j_so, j_si


def gates(u, v, w, p, dt_ms):
    """Return v and w after dt_ms at constant u by the exact solution."""
    excited = u >= p.u_c
    tau_v_minus = np.where(u >= p.u_v, p.tau_v1, p.tau_v2)
    fall_v, fall_w = np.exp(-dt_ms / p.tau_v_plus), np.exp(-dt_ms / p.tau_w_plus)
    rise_v, rise_w = np.exp(-dt_ms / tau_v_minus), np.exp(-dt_ms / p.tau_w_minus)
    return (
        np.where(excited, v * fall_v, 1 - (1 - v) * rise_v),
        np.where(excited, w * fall_w, 1 - (1 - w) * rise_w),
    )


def reference_step(u, v, w, tissue, p, dt_ms, *, plain):
    """Take the same step as the kernels with whole arrays in float64."""
    after = gates(u, v, w, p, dt_ms)
    j_fi, j_so, j_si = currents(u, *((v, w) if plain else after), p)
    diffusion = divergence(u, tissue, 0.0 if plain else DIAGONAL_FRACTION)
    change = dt_ms * (diffusion - j_fi - j_so - j_si)
    if not plain:
        slope = np.where(u >= p.u_c, -after[0] * (1 + p.u_c - 2 * u) / p.tau_d, 0.0)
        change /= 1 + dt_ms / 2 * slope
    return u + change, *after


def make_coupling(tissue, grid, dt_ms, *, plain):
    link = links(tissue, diagonal_fraction=0.0 if plain else DIAGONAL_FRACTION)
    scale = dt_ms / tissue.spacing_mm**2
    return Coupling(*(grid.pad(field * scale) for field in link), grid.stride)


def random_sheet(seed=0, rows=ROWS, cols=COLS):
    """Return a tissue with random scars, and random voltage and gates."""
    rng = np.random.default_rng(seed)
    diffusivity = rng.uniform(0.03, 0.1, (rows, cols)) * (rng.random((rows, cols)) > 0.2)
    tissue = Tissue(spacing_mm=SPACING_MM, diffusivity_mm2_per_ms=diffusivity)
    return tissue, (rng.uniform(-0.05, 1.05, (rows, cols)), *rng.random((2, rows, cols)))


def make_state(grid, u, v, w):
    return State(*(grid.pad(field) for field in (u, u, v, w)))


@SETS
@SCHEMES
def test_the_kernels_agree_with_a_plain_implementation(name, plain):
    p = PARAMETER_SETS[name]
    tissue, (u, v, w) = random_sheet()
    grid = PaddedGrid(ROWS, COLS)
    coupling = make_coupling(tissue, grid, DT_MS, plain=plain)
    state = make_state(grid, u, v, w)
    for _ in range(4):
        for _ in range(5):
            u, v, w = reference_step(u, v, w, tissue, p, DT_MS, plain=plain)
        state = advance(state, coupling, step_constants(p, DT_MS), whole_sheet(grid), 5, plain)
    # Twenty steps with a float32 rounding error of 6e-8 each, amplified on the upstroke.
    for found, expected in zip((state.u, state.v, state.w), (u, v, w), strict=True):
        np.testing.assert_allclose(grid.interior(found), expected, rtol=0, atol=4e-6)


def assert_a_sweep_equals_single_steps(shape, steps, plain, runs=None):
    grid = PaddedGrid(*shape)
    tissue, fields = random_sheet(1, *shape)
    runs = whole_sheet(grid) if runs is None else runs
    coupling, r = make_coupling(tissue, grid, DT_MS, plain=plain), step_constants(FK_CAF, DT_MS)
    together = advance(make_state(grid, *fields), coupling, r, runs, steps, plain)
    single = make_state(grid, *fields)
    for _ in range(steps):
        single = advance(single, coupling, r, runs, 1, plain)
    np.testing.assert_array_equal(grid.interior(together.u), grid.interior(single.u))
    np.testing.assert_array_equal(grid.interior(together.v), grid.interior(single.v))
    np.testing.assert_array_equal(grid.interior(together.w), grid.interior(single.w))


@SCHEMES
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (7, 16), (3, 33)])
@pytest.mark.parametrize("steps", [5, STEPS_PER_SWEEP])
def test_a_sweep_of_several_steps_equals_single_steps(shape, steps, plain):
    assert_a_sweep_equals_single_steps(shape, steps, plain)


def test_a_sweep_of_partial_runs_equals_single_steps():
    first = LANES + TILE * np.array([0, 3, 1, 0], np.uint64)
    last = LANES + TILE * np.array([2, 5, 4, 5], np.uint64)
    runs = CellRuns(offsets=np.array([0, 2, 3, 4]), first=first, last=last)
    assert_a_sweep_equals_single_steps((45, 70), 7, False, runs)


def test_only_the_cells_in_the_runs_are_computed():
    grid = PaddedGrid(40, 50)
    tissue, fields = random_sheet(2, 40, 50)
    coupling, state = make_coupling(tissue, grid, DT_MS, plain=False), make_state(grid, *fields)
    one, other = np.array([LANES + 16], np.uint64), np.array([LANES + 32], np.uint64)
    middle = CellRuns(offsets=np.array([0, 0, 1, 1]), first=one, last=other)
    after = advance(state, coupling, step_constants(FK_CAF, DT_MS), middle, 1, False)
    changed = grid.interior(after.v) != fields[1].astype(np.float32)
    assert changed[16:32, 16:32].all()
    changed[16:32, 16:32] = False
    assert not changed.any()


@SETS
@SCHEMES
def test_rest_is_a_fixed_point(name, plain):
    grid = PaddedGrid(6, 7)
    tissue, _ = random_sheet(3, 6, 7)
    ones = np.ones((6, 7))
    state = make_state(grid, 0 * ones, ones, ones)
    r = step_constants(PARAMETER_SETS[name], DT_MS)
    coupling = make_coupling(tissue, grid, DT_MS, plain=plain)
    for _ in range(20):
        state = advance(state, coupling, r, whole_sheet(grid), 5, plain)
    assert not state.u.any()
    assert (grid.interior(state.v) == 1).all()
    assert (grid.interior(state.w) == 1).all()


@SCHEMES
def test_nan_propagates(plain):
    grid = PaddedGrid(5, 5)
    tissue, fields = random_sheet(4, 5, 5)
    state = make_state(grid, *fields)
    grid.interior(state.u)[2, 2] = np.nan
    coupling = make_coupling(tissue, grid, DT_MS, plain=plain)
    after = advance(state, coupling, step_constants(FK_CAF, DT_MS), whole_sheet(grid), 1, plain)
    assert np.isnan(grid.interior(after.u)).any()


@pytest.mark.parametrize("plain", [True, False])
def test_a_manufactured_solution_converges_with_second_order_in_space(plain):
    # The step is proportional to the square of the spacing, so that both errors fall at the same
    # rate. If they have opposite signs, their sum may fall faster.
    errors = [manufactured_error(cells, 1.28 / cells**2, plain=plain) for cells in (8, 16, 32)]
    assert (-np.diff(np.log2(errors)) > 1.8).all()


@pytest.mark.parametrize("plain", [True, False])
def test_a_manufactured_solution_converges_with_first_order_in_time(plain):
    coarse, middle, fine = (manufactured_field(16, dt, plain=plain) for dt in (0.02, 0.01, 0.005))
    slope = np.log2(np.abs(coarse - middle).max() / np.abs(middle - fine).max())
    assert slope == pytest.approx(1.0, abs=0.25)


def manufactured(cells, time_ms):
    """Return u between 0.3 and 0.7 (always excited) on 2 mm, and its source without J_ion."""
    size_mm, d = 2.0, 0.1
    wave = np.cos(np.pi * (np.arange(cells) + 0.5) / cells)
    shape = wave[:, None] * wave[None]
    decay = np.exp(-time_ms / 2)
    u = 0.5 + 0.2 * decay * shape
    rate = -0.1 * decay * shape
    return u, rate + d * 2 * (np.pi / size_mm) ** 2 * 0.2 * decay * shape


def manufactured_field(cells, dt_ms, *, plain, duration_ms=1.6):
    """Run the compiled step with the source for which `manufactured` is the exact solution."""
    p = FK_CAF
    tissue = Tissue(spacing_mm=2 / cells, diffusivity_mm2_per_ms=np.full((cells, cells), 0.1))
    grid, r = PaddedGrid(cells, cells), step_constants(p, dt_ms)
    coupling = make_coupling(tissue, grid, dt_ms, plain=plain)
    u, _ = manufactured(cells, 0.0)
    state = make_state(grid, u, np.full_like(u, 0.1), np.ones_like(u))
    for step in range(round(duration_ms / dt_ms)):
        time_ms = step * dt_ms
        u, without_membrane = manufactured(cells, time_ms + dt_ms / 2)
        v = 0.1 * np.exp(-(time_ms + dt_ms / 2) / p.tau_v_plus)
        w = np.exp(-(time_ms + dt_ms / 2) / p.tau_w_plus)
        source = without_membrane + sum(currents(u, v, w, p))
        state = advance(state, coupling, r, whole_sheet(grid), 1, plain)
        grid.interior(state.u)[:] += (dt_ms * source).astype(np.float32)
    return grid.interior(state.u).astype(float)


def manufactured_error(cells, dt_ms, *, plain):
    expected, _ = manufactured(cells, 1.6)
    return np.abs(manufactured_field(cells, dt_ms, plain=plain) - expected).max()


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="reads x86-64 assembly")
@pytest.mark.parametrize("kernel", ["step_row", "plain_step_row"])
def test_the_loop_over_cells_is_vectorised_without_overlap_checks(kernel):
    # Compile anew, because machine code from the cache cannot be inspected.
    function = getattr(stepping, kernel).py_func
    fresh = numba.njit(error_model="numpy", fastmath=FAST_MATH_FLAGS)(function)
    grid = PaddedGrid(3, 3)
    state = State(*(grid.zeros() for _ in range(4)))
    coupling = Coupling(*(grid.zeros() for _ in range(4)), grid.stride)
    fresh(state, coupling, np.uint64(LANES), np.uint64(LANES + 3), step_constants(FK_CAF, DT_MS))
    (assembly,) = fresh.inspect_asm().values()
    (llvm,) = fresh.inspect_llvm().values()
    assert "vdivps" in assembly
    assert "vfmadd" in assembly
    assert "memcheck" not in llvm


def test_cached_machine_code_depends_on_all_kernel_sources():
    for function in (stepping.step_row, stepping._advance, activity._catch_up):
        assert source_stamp(function)[1] == SOURCE_HASH
