import math

import numpy as np
import pytest

from fwdecg.errors import CaseError, TissueError
from fwdecg.physics.fenton_karma import PARAMETER_SETS
from fwdecg.physics.markers import (
    action_potential_durations_ms,
    activation_times_ms,
    conduction_velocity_mm_per_ms,
)
from fwdecg.physics.monodomain import (
    DEFAULT,
    PLAIN,
    SMALLEST_DT_MS,
    Scheme,
    Simulation,
    TimeGrid,
)
from fwdecg.physics.stimulus import Rectangle, Stimulus, cross_field, focal, planar
from fwdecg.physics.tissue import Tissue

FK_CAF = PARAMETER_SETS["FK-CAF"]
# Parameters without ionic currents, so that only diffusion remains.
PASSIVE = FK_CAF._replace(tau_d=1e30, tau_r=1e30, tau_si=1e30, tau_0=1e30)


def strip(cells, spacing_mm, diffusivity=0.1):
    field = np.full((1, cells), diffusivity)
    return Tissue(spacing_mm=spacing_mm, diffusivity_mm2_per_ms=field)


# For tissue in which no wave propagates and that does not return to rest.
UNCALIBRATED = Scheme(calibrate=False, skip_rest=False)


def run(tissue, pacing, time_grid, parameters=FK_CAF, scheme=DEFAULT):
    if parameters is PASSIVE or tissue.conducts.size == 1:
        scheme = UNCALIBRATED
    return np.stack([u.copy() for u in Simulation(tissue, pacing, time_grid, parameters, scheme)])


def velocity(diffusivity, spacing_mm, dt_ms, scheme):
    """Return the velocity in the middle of a strip of 40 sqrt(D ms)."""
    root = np.sqrt(diffusivity)
    tissue = strip(round(40 * root / spacing_mm), spacing_mm, diffusivity)
    pacing = (Stimulus(region=Rectangle(right_mm=2 * root)),)
    time_grid = TimeGrid(frame_interval_ms=0.1, frames=180, largest_dt_ms=dt_ms)
    activation = activation_times_ms(run(tissue, pacing, time_grid, scheme=scheme), 0.1)
    return conduction_velocity_mm_per_ms(activation, spacing_mm)


@pytest.mark.parametrize(
    ("diffusivity", "scheme", "spacing", "dt_ms"),
    [
        (0.1, PLAIN, 0.1, 0.0024),
        (0.05, DEFAULT, 1.0, 0.06),
        (0.01, DEFAULT, 0.68, 0.04),
    ],
)
def test_conduction_velocity_of_fk_caf(diffusivity, scheme, spacing, dt_ms):
    # Extrapolation of the plain scheme gives 2.0777 sqrt(D). The first spacing and step slow the
    # plain scheme by 0.4 %.
    root = np.sqrt(diffusivity)
    found = velocity(diffusivity, spacing * root, dt_ms, scheme)
    assert found == pytest.approx(2.0777 * root, rel=0.005)


def test_velocity_is_the_same_along_a_diagonal_and_an_axis():
    spacing_mm, cells = 0.2, 121
    tissue = Tissue(spacing_mm=spacing_mm, diffusivity_mm2_per_ms=np.full((cells, cells), 0.1))
    centre_mm = cells * spacing_mm / 2
    time_grid = TimeGrid(frame_interval_ms=0.2, frames=90, largest_dt_ms=0.04)
    times = activation_times_ms(run(tissue, focal(centre_mm, centre_mm), time_grid), 0.2)
    middle = cells // 2
    along_axis, along_diagonal = times[middle, middle:], np.diagonal(times)[middle:]
    # Travel time from 4 to 9 mm from the centre, interpolated along each ray.
    steps = np.arange(middle + 1) * spacing_mm
    delays = [
        np.diff(np.interp([4.0, 9.0], steps * scale, ray))[0]
        for scale, ray in ((1.0, along_axis), (np.sqrt(2), along_diagonal))
    ]
    assert delays[0] == pytest.approx(delays[1], rel=0.006)


@pytest.mark.parametrize(("interval_ms", "tolerance"), [(130, 0.03), (250, 0.02)])
def test_velocity_of_a_premature_wave_agrees_with_a_fine_grid(interval_ms, tolerance):
    fine = premature_velocity(interval_ms, 0.15, 0.005, PLAIN)
    coarse = premature_velocity(interval_ms, 0.68, 0.04, DEFAULT)
    # Spacing and step slow the plain scheme by 0.7 %. The bound of the default scheme is 2 % where
    # v >= 0.5, which is not yet the case at 130 ms.
    assert coarse == pytest.approx(fine * 1.007, rel=tolerance)


def premature_velocity(interval_ms, spacing, dt_ms, scheme):
    """Return the velocity of the second of two waves along a strip."""
    spacing_mm = spacing * np.sqrt(0.1)
    tissue = strip(round(12 / spacing_mm), spacing_mm)
    pacing = (*planar(), *planar(start_ms=interval_ms))
    time_grid = TimeGrid(frame_interval_ms=0.25, frames=4 * (interval_ms + 40), largest_dt_ms=dt_ms)
    frames = run(tissue, pacing, time_grid, scheme=scheme)[4 * interval_ms - 8 :]
    return conduction_velocity_mm_per_ms(activation_times_ms(frames, 0.25), spacing_mm)


@pytest.mark.slow
def test_the_cycle_length_of_a_spiral():
    tissue = Tissue(spacing_mm=0.2, diffusivity_mm2_per_ms=np.full((300, 300), 0.1))
    time_grid = TimeGrid(frame_interval_ms=1.0, frames=1000, largest_dt_ms=0.035)
    simulation = Simulation(tissue, cross_field(60.0, 130.0), time_grid, FK_CAF)
    traces = np.stack([u[30::120, 30::120].copy() for u in simulation])
    cycles = []
    for trace in traces.reshape(len(traces), -1).T:
        rises = np.flatnonzero((trace[:-1] < 0.5) & (trace[1:] >= 0.5))
        cycles.extend(np.diff(rises[rises > 550]))
    assert len(cycles) > 10
    # Goodman et al. report 91 +- 3 ms; converged grids give 91 to 100 ms.
    assert 91 <= np.mean(cycles) <= 100


@pytest.mark.parametrize(
    ("cycle_ms", "beats", "apd90_ms"),
    [(300, 8, 102.9), (150, 14, 97.6), (100, 22, 91.75)],
)
def test_action_potential_duration_of_fk_caf_in_the_steady_state(cycle_ms, beats, apd90_ms):
    cell = Tissue(spacing_mm=1.0, diffusivity_mm2_per_ms=np.full((1, 1), 0.1))
    pacing = [Stimulus(region=Rectangle(), start_ms=beat * cycle_ms) for beat in range(beats)]
    time_grid = TimeGrid(frame_interval_ms=1.0, frames=beats * cycle_ms, largest_dt_ms=0.01)
    trace = run(cell, pacing, time_grid)[:, 0, 0]
    durations = action_potential_durations_ms(trace.astype(float), 1.0)
    assert durations[-1] == pytest.approx(apd90_ms, abs=0.2)
    assert durations[-1] == pytest.approx(durations[-2], abs=0.1)


def test_the_first_frame_is_rest_and_frames_do_not_depend_on_their_number():
    tissue = strip(80, 0.2)
    short = run(tissue, planar(), TimeGrid(frame_interval_ms=5.0, frames=3, largest_dt_ms=0.02))
    long = run(tissue, planar(), TimeGrid(frame_interval_ms=5.0, frames=6, largest_dt_ms=0.02))
    assert not short[0].any()
    np.testing.assert_array_equal(short, long[:3])


def test_a_stimulus_acts_in_its_region_and_time():
    tissue = strip(10, 1.0, 1e-6)
    pacing = (
        Stimulus(
            region=Rectangle(right_mm=2.0), start_ms=1.5, duration_ms=0.5, amplitude_per_ms=0.2
        ),
    )
    time_grid = TimeGrid(frame_interval_ms=0.5, frames=6, largest_dt_ms=0.01)
    frames = run(tissue, pacing, time_grid, PASSIVE)[:, 0]
    np.testing.assert_allclose(frames[:, 0], [0, 0, 0, 0, 0.1, 0.1], atol=1e-5)
    assert frames[-1, 5] == pytest.approx(0, abs=1e-12)


def test_concurrent_iterations_are_independent():
    tissue = strip(60, 0.2)
    time_grid = TimeGrid(frame_interval_ms=3.0, frames=4, largest_dt_ms=0.05)
    simulation = Simulation(tissue, planar(), time_grid, FK_CAF)
    alone = [u.copy() for u in simulation]
    updates = simulation.node_updates
    assert updates > 0
    first = iter(simulation)
    ahead = [next(first).copy() for _ in range(2)]
    # An iteration that begins while another is halfway gives the same frames and is counted.
    np.testing.assert_array_equal([u.copy() for u in simulation], alone)
    assert simulation.node_updates == updates
    np.testing.assert_array_equal([*ahead, *(u.copy() for u in first)], alone)


@pytest.mark.parametrize("name", PARAMETER_SETS)
@pytest.mark.parametrize("dt_ms", [0.01, 0.001])
def test_durations_agree_with_a_cell_in_float64(name, dt_ms):
    parameters = PARAMETER_SETS[name]
    cell = Tissue(spacing_mm=1.0, diffusivity_mm2_per_ms=np.full((1, 1), 0.1))
    time_grid = TimeGrid(frame_interval_ms=0.5, frames=800, largest_dt_ms=dt_ms)
    trace = run(cell, (Stimulus(region=Rectangle()),), time_grid, parameters)[:, 0, 0]
    (found,) = action_potential_durations_ms(trace.astype(float), 0.5)
    (expected,) = action_potential_durations_ms(float64_cell(parameters, 0.01), 0.5)
    # At 0.01 ms the time discretisation costs up to 0.2 ms; float32 accounts for the rest.
    assert found == pytest.approx(expected, abs=0.5)


def float64_cell(p, dt_ms):
    """Return u of a stimulated cell every 0.5 ms for 400 ms, computed with Python floats."""
    u, v, w, trace = 0.0, 1.0, 1.0, []
    for step in range(round(400 / dt_ms)):
        if step % round(0.5 / dt_ms) == 0:
            trace.append(u)
        excited = u >= p.u_c
        j_fi = -v * (1 - u) * (u - p.u_c) / p.tau_d if excited else 0.0
        j_so = 1 / p.tau_r if excited else u / p.tau_0
        j_si = -w * (1 + math.tanh(p.k * (u - p.u_csi))) / (2 * p.tau_si)
        tau_v_minus = p.tau_v1 if u >= p.u_v else p.tau_v2
        u -= dt_ms * (j_fi + j_so + j_si)
        u += 0.5 * dt_ms if step * dt_ms < 1.0 else 0.0
        v = (
            v * math.exp(-dt_ms / p.tau_v_plus)
            if excited
            else 1 - (1 - v) * math.exp(-dt_ms / tau_v_minus)
        )
        w = (
            w * math.exp(-dt_ms / p.tau_w_plus)
            if excited
            else 1 - (1 - w) * math.exp(-dt_ms / p.tau_w_minus)
        )
    return np.array(trace)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"largest_dt_ms": 1e-4}, "must be at least 0.0005"),
        ({"largest_dt_ms": float("nan")}, "must be at least 0.0005"),
        ({"frame_interval_ms": 0.0}, "the interval must be above 0"),
        (
            {"frame_interval_ms": 7e-4, "largest_dt_ms": 5e-4},
            "leaves steps of 0.00035 ms: must be at least 0.0005.*; use a longer interval",
        ),
        ({"frames": 0}, "at least one frame"),
    ],
)
def test_invalid_time_grids_are_rejected(values, message):
    valid = {"frame_interval_ms": 5.0, "frames": 2, "largest_dt_ms": 0.02}
    with pytest.raises(TissueError, match=message):
        TimeGrid(**valid | values)


@pytest.mark.parametrize(("duration_ms", "dt_ms"), [(0.01, 0.05), (0.1, 0.03), (1.0, 0.03)])
def test_the_charge_of_a_stimulus_does_not_depend_on_the_step(duration_ms, dt_ms):
    pacing = (Stimulus(region=Rectangle(), duration_ms=duration_ms, amplitude_per_ms=0.1),)
    time_grid = TimeGrid(frame_interval_ms=2.0, frames=2, largest_dt_ms=dt_ms)
    last = run(strip(5, 1.0), pacing, time_grid, PASSIVE)[-1]
    np.testing.assert_allclose(last, 0.1 * duration_ms, rtol=1e-5)


def test_the_step_divides_the_frame_interval():
    time_grid = TimeGrid(frame_interval_ms=5.0, frames=2, largest_dt_ms=0.03)
    assert time_grid.steps_per_frame == 167
    assert time_grid.dt_ms == pytest.approx(5 / 167)
    assert TimeGrid(frame_interval_ms=5.0, frames=2, largest_dt_ms=0.02).dt_ms == 0.02
    # Rounding of the quotient must not lead to a step below the smallest one.
    for interval_ms in (0.7, 3.1, 5.0):
        time_grid = TimeGrid(frame_interval_ms=interval_ms, frames=2, largest_dt_ms=SMALLEST_DT_MS)
        assert time_grid.dt_ms == pytest.approx(SMALLEST_DT_MS, rel=1e-9)


def test_an_unstable_step_is_rejected():
    time_grid = TimeGrid(frame_interval_ms=1.0, frames=2, largest_dt_ms=0.05)
    with pytest.raises(
        TissueError, match=r"dt_ms = 0.05: must be at most 0.02306 for cells of 0.1 mm"
    ):
        Simulation(strip(10, 0.1), planar(), time_grid, FK_CAF, PLAIN)


def test_divergence_is_reported():
    pacing = (Stimulus(region=Rectangle(), amplitude_per_ms=1e38, duration_ms=100.0),)
    time_grid = TimeGrid(frame_interval_ms=5.0, frames=4, largest_dt_ms=0.02)
    with pytest.raises(CaseError, match="u is not finite at t = 5 ms"):
        run(strip(10, 1.0), pacing, time_grid)
