from itertools import pairwise

import numpy as np
import pytest

from fwdecg.errors import TissueError
from fwdecg.physics import velocity_correction
from fwdecg.physics.fenton_karma import PARAMETER_SETS
from fwdecg.physics.markers import activation_times_ms
from fwdecg.physics.monodomain import DEFAULT, PLAIN, Simulation, TimeGrid
from fwdecg.physics.pseudo_ecg import lead_fields, pseudo_ecg
from fwdecg.physics.raster import cell_centres_mm
from fwdecg.physics.resolution import calibrated_dt_ms, resolution_for, stable_dt_ms
from fwdecg.physics.stimulus import planar
from fwdecg.physics.tissue import Tissue
from fwdecg.physics.velocity_correction import (
    cable_velocity,
    calibrate_diffusivity,
    continuum_velocity,
    diffusivity_factor,
)

FK_CAF = PARAMETER_SETS["FK-CAF"]


def test_the_velocity_of_the_continuum():
    # A fourth-order stencil in float64 at a spacing of 0.02 sqrt(D ms) gives 2.07769.
    assert continuum_velocity(FK_CAF) == pytest.approx(2.07769, rel=1e-4)


@pytest.mark.parametrize("name", PARAMETER_SETS)
@pytest.mark.parametrize(("spacing", "tolerance"), [(1.0, 1e-3), (1.9, 1e-3), (2.7, 5e-3)])
def test_a_calibrated_wave_has_the_velocity_of_the_continuum(name, spacing, tolerance):
    p = PARAMETER_SETS[name]
    h = spacing * np.sqrt(p.tau_d)
    dt_ms = calibrated_dt_ms(h, 1.0, p)
    factor = diffusivity_factor(h, dt_ms, p)
    # With the longest steps the velocity depends on the factor in small jumps.
    found = cable_velocity(h, dt_ms, p, factor=factor)
    assert found == pytest.approx(continuum_velocity(p), rel=tolerance)


def test_a_long_step_slows_the_plain_scheme_ten_times_more():
    losses = {
        plain: 1
        - cable_velocity(0.68, 0.02, FK_CAF, plain=plain) / cable_velocity(0.68, 2e-3, FK_CAF)
        for plain in (True, False)
    }
    assert losses[True] == pytest.approx(0.02, abs=0.003)
    assert 0 < losses[False] < 0.0025


def test_the_ecg_agrees_with_the_plain_scheme_on_a_fine_grid():
    # Scars of 1.6 mm fit both rasters. Spacing and step slow the plain scheme by 0.7 %.
    rng = np.random.default_rng(2)
    scars = np.kron(rng.random((10, 10)) > 0.2, np.ones((8, 8)))
    scars[:, :16] = 1
    coarse, fine = (
        ecg(0.1 * np.kron(scars, np.ones((n, n))), 0.2 / n, dt_ms, scheme)
        for n, dt_ms, scheme in ((1, 0.036, DEFAULT), (4, 0.004, PLAIN))
    )
    residual = ((coarse - fine) ** 2).sum()
    assert residual < 1e-3 * ((fine - fine.mean()) ** 2).sum()


def ecg(diffusivity, spacing_mm, dt_ms, scheme):
    tissue = Tissue(spacing_mm=spacing_mm, diffusivity_mm2_per_ms=diffusivity)
    leads = lead_fields(tissue, np.array([[8.0, 8.0, 10.0]]))
    time_grid = TimeGrid(frame_interval_ms=2.0, frames=16, largest_dt_ms=dt_ms)
    frames = Simulation(tissue, planar(), time_grid, FK_CAF, scheme)
    return np.array([pseudo_ecg(u[None], leads).item() for u in frames])


def test_each_value_of_d_has_its_own_factor():
    d = np.array([[0.0, 0.02, 0.05, 0.1]])
    tissue = Tissue(spacing_mm=0.1, diffusivity_mm2_per_ms=d)
    raised = calibrate_diffusivity(tissue, 0.02, FK_CAF).diffusivity_mm2_per_ms
    expected = [0.0, *(x * diffusivity_factor(0.1 / np.sqrt(x), 0.02, FK_CAF) for x in d[0, 1:])]
    np.testing.assert_allclose(raised, [expected], rtol=2e-3)
    assert raised[0, 0] == 0


@pytest.mark.parametrize(("left", "right"), [(0.03, 0.1), (0.1, 0.01)])
def test_a_wave_through_a_gradient_of_d_has_its_local_velocity(left, right):
    """In y with dy = dx / sqrt(D) the equation has D = 1 and a drift of D' / (2 sqrt D).

    The front therefore moves at 2.0777 sqrt(D) - D'/2. The error is of second order in the change
    of D over the front width, here less than 1e-3.
    """
    length_mm, smallest, largest = 30.0, min(left, right), max(left, right)
    chosen = resolution_for(0.02, smallest, FK_CAF)
    cells = int(np.ceil(length_mm / chosen.spacing_mm))
    spacing_mm = length_mm / cells
    x_mm = cell_centres_mm(cells, spacing_mm)
    d = np.tile(np.linspace(left, right, cells), (3, 1))
    dt_ms = min(chosen.dt_ms, 0.9 * stable_dt_ms(spacing_mm, largest, FK_CAF))
    time_grid = TimeGrid(frame_interval_ms=0.2, frames=500, largest_dt_ms=dt_ms)
    tissue = Tissue(spacing_mm=spacing_mm, diffusivity_mm2_per_ms=d)
    frames = np.stack([u[1:2].copy() for u in Simulation(tissue, planar(), time_grid, FK_CAF)])
    arrival_ms = activation_times_ms(frames, 0.2)[0]
    velocity_mm_per_ms = 2.0777 * np.sqrt(d[0]) - (right - left) / length_mm / 2
    # Compare travel times of three sections away from the stimulus.
    edges = np.searchsorted(x_mm, [8.0, 13.0, 18.0, 23.0])
    for first, last in pairwise(edges):
        travelled_ms = arrival_ms[last] - arrival_ms[first]
        expected_ms = np.trapezoid(1 / velocity_mm_per_ms[first : last + 1], x_mm[first : last + 1])
        assert travelled_ms == pytest.approx(expected_ms, rel=2e-3)


def test_a_varying_d_is_calibrated_on_a_few_cables(monkeypatch):
    spacings = []

    def count(spacing, dt_ms, parameters):
        spacings.append(spacing)
        return 1.05

    monkeypatch.setattr(velocity_correction, "diffusivity_factor", count)
    d = np.random.default_rng(0).uniform(0.02, 0.1, (60, 60))
    tissue = Tissue(spacing_mm=0.1, diffusivity_mm2_per_ms=d)
    raised = calibrate_diffusivity(tissue, 0.02, FK_CAF).diffusivity_mm2_per_ms
    np.testing.assert_allclose(raised, 1.05 * d)
    assert len(spacings) == velocity_correction.SAMPLES < 10
    bounds = sorted(0.1 / np.sqrt([d.max(), d.min()]))
    assert (min(spacings), max(spacings)) == pytest.approx(tuple(bounds))


def test_cells_too_large_for_a_wave_are_rejected():
    with pytest.raises(TissueError, match="no wave runs on cells as wide as"):
        diffusivity_factor(20.0, 0.1, FK_CAF)


@pytest.mark.parametrize("steps_per_cell", [7.98, 8.02])
def test_a_time_grid_avoids_locking_to_the_grid(steps_per_cell):
    diffusivity, interval_ms = 0.05, 5.0
    p = PARAMETER_SETS["FK-CAF"]
    spacing_mm = 0.674 * np.sqrt(diffusivity)
    crossing_ms = spacing_mm / (continuum_velocity(p) * np.sqrt(diffusivity))
    tissue = Tissue(spacing_mm=spacing_mm, diffusivity_mm2_per_ms=np.full((4, 4), diffusivity))
    requested = TimeGrid(
        frame_interval_ms=interval_ms, frames=2, largest_dt_ms=crossing_ms / steps_per_cell
    )
    adjusted = requested.without_locking(tissue, p)
    found = crossing_ms / adjusted.dt_ms
    assert abs(found - round(found)) >= 0.1
    assert 0.97 * requested.dt_ms < adjusted.dt_ms <= requested.dt_ms
    assert adjusted.without_locking(tissue, p).steps_per_frame == adjusted.steps_per_frame


def test_a_wave_that_does_not_lock_keeps_its_velocity_over_a_long_distance(monkeypatch):
    p = PARAMETER_SETS["FK-CAF"]
    spacing, true = 0.674, continuum_velocity(p)
    steps = {"locking": spacing / true / 7.98, "free": spacing / true / 8.13}
    factors = {name: diffusivity_factor(spacing, dt_ms, p) for name, dt_ms in steps.items()}
    monkeypatch.setattr(velocity_correction, "CABLE_LENGTH", 600.0)
    monkeypatch.setattr(velocity_correction, "LONGEST_RUN", 6000.0)
    errors = {
        name: abs(cable_velocity(spacing, dt_ms, p, factor=factors[name]) / true - 1)
        for name, dt_ms in steps.items()
    }
    assert errors["free"] < 3e-4 < errors["locking"]
