import numpy as np
import pytest

from fwdecg.physics.activity import REST_LEVEL, ActivityTracker
from fwdecg.physics.fenton_karma import PARAMETER_SETS
from fwdecg.physics.markers import activation_times_ms
from fwdecg.physics.monodomain import Scheme, Simulation, TimeGrid
from fwdecg.physics.padded_grid import TILE, PaddedGrid
from fwdecg.physics.pseudo_ecg import lead_fields, pseudo_ecg
from fwdecg.physics.stepping import State
from fwdecg.physics.stimulus import cross_field, focal, planar
from fwdecg.physics.tissue import Tissue

SPACING_MM = 0.2
DT_MS = 0.04


def scarred_sheet(cells, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.random((cells // 8, cells // 8)) > 0.15
    coarse[:, :2] = True
    field = 0.1 * np.kron(coarse, np.ones((8, 8)))
    return Tissue(spacing_mm=SPACING_MM, diffusivity_mm2_per_ms=field)


def solve(tissue, pacing, frames, name, *, skip_rest, plain=False):
    time_grid = TimeGrid(frame_interval_ms=2.5, frames=frames, largest_dt_ms=DT_MS)
    scheme = Scheme(plain=plain, skip_rest=skip_rest)
    simulation = Simulation(tissue, pacing, time_grid, PARAMETER_SETS[name], scheme)
    u = np.stack([frame.copy() for frame in simulation])
    leads = lead_fields(tissue, np.array([[8.0, 8.0, 10.0]]))
    ecg = pseudo_ecg(u, leads)[0]
    return u, ecg, simulation.node_updates


@pytest.mark.parametrize(
    ("name", "pacing", "duration_ms"),
    [
        ("FK-CAF", focal(3.0, 12.0), 300),
        ("FK-CAF", (*planar(), *planar(start_ms=150.0)), 400),  # tiles rest in between
        ("FK-CAF", cross_field(16.0, 118.0), 300),
        ("FK98-MLR-I", planar(), 300),  # tau_v1 = tau_v2
        ("FK98-GP", planar(), 300),  # u_v is below the default level
    ],
)
def test_skipping_rest_stays_within_the_documented_bounds(name, pacing, duration_ms):
    # 72 cells are four full tiles and one of 8 cells at the right and lower edges.
    tissue, frames = scarred_sheet(72), round(duration_ms / 2.5)
    on, ecg_on, updates_on = solve(tissue, pacing, frames, name, skip_rest=True)
    off, ecg_off, updates_off = solve(tissue, pacing, frames, name, skip_rest=False)
    # The bounds that docs/solver.md states: of u, of activation times, and of phi_e.
    assert np.abs(on - off).max() < 5e-3
    delay_ms = activation_times_ms(on, 2.5) - activation_times_ms(off, 2.5)
    assert np.nanmax(np.abs(delay_ms)) < 0.01
    assert np.abs(ecg_on - ecg_off).max() < 1e-3 * np.ptp(ecg_off)
    assert updates_on < updates_off


def test_the_plain_scheme_can_skip_rest():
    tissue = scarred_sheet(72)
    on, _, updates_on = solve(tissue, planar(), 100, "FK-CAF", skip_rest=True, plain=True)
    off, _, updates_off = solve(tissue, planar(), 100, "FK-CAF", skip_rest=False, plain=True)
    assert np.abs(on - off).max() < 5e-3
    assert updates_on < updates_off


def test_without_skipping_every_cell_update_counts():
    tissue = scarred_sheet(80)
    _, _, updates = solve(tissue, planar(), 3, "FK-CAF", skip_rest=False)
    assert updates == 80 * 80 * 63 * 2


def activity_and_state(rows, cols, u):
    grid = PaddedGrid(rows, cols)
    ones = np.ones((rows, cols))
    state = State(
        grid.pad(u * ones), grid.zeros(), grid.pad(0.3 * ones),
        grid.pad(0.6 * ones),
    )  # fmt: skip
    return ActivityTracker(grid, PARAMETER_SETS["FK-CAF"], 0.5), grid, state


def test_resting_cells_follow_the_closed_form():
    p = PARAMETER_SETS["FK-CAF"]
    activity, grid, state = activity_and_state(20, 35, 0.005)
    for _ in range(10):
        runs = activity.next_runs(state, 8, everywhere=False)
        assert runs.first.size == 0
    activity.catch_up(state)
    time_ms = 40.0
    expected = {
        "u": 0.005 * np.exp(-time_ms / p.tau_0),
        "v": 1 - 0.7 * np.exp(-time_ms / p.tau_v2),
        "w": 1 - 0.4 * np.exp(-time_ms / p.tau_w_minus),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(grid.interior(getattr(state, name)), value, rtol=1e-5)
    np.testing.assert_array_equal(grid.interior(state.u_next), grid.interior(state.u))


def test_a_tile_above_the_level_activates_its_neighbours():
    activity, grid, state = activity_and_state(5 * TILE, 5 * TILE, 0.0)
    activity.next_runs(state, 8, everywhere=True)
    grid.interior(state.u)[2 * TILE, 3 * TILE - 1] = 1.01 * REST_LEVEL
    runs = activity.next_runs(state, 8, everywhere=False)
    np.testing.assert_array_equal(np.diff(runs.offsets), [0, 1, 1, 1, 0])
    assert set(zip(runs.first, runs.last, strict=True)) == {(2 * TILE, 5 * TILE)}
