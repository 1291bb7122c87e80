import numpy as np
import pytest

from fwdecg.physics.fenton_karma import PARAMETER_SETS
from fwdecg.physics.monodomain import PLAIN, Scheme, Simulation, TimeGrid
from fwdecg.physics.resolution import (
    LARGEST_INCREASE,
    Resolution,
    calibrated_dt_ms,
    cv_error,
    resolution_for,
    stable_dt_ms,
)
from fwdecg.physics.stimulus import focal
from fwdecg.physics.tissue import Tissue
from fwdecg.physics.velocity_correction import (
    cable_velocity,
    continuum_velocity,
    diffusivity_factor,
)

D = 0.1
FK_CAF = PARAMETER_SETS["FK-CAF"]
SETS = pytest.mark.parametrize("name", PARAMETER_SETS)


def in_units_of_d(resolution):
    return resolution.spacing_mm / np.sqrt(D), resolution.dt_ms


@SETS
@pytest.mark.parametrize("target", [0.05, 0.1])
def test_the_expected_error_of_the_plain_scheme_agrees_with_the_measured_one(name, target):
    p = PARAMETER_SETS[name]
    resolution = resolution_for(target, D, p, plain=True)
    error = 1 - cable_velocity(*in_units_of_d(resolution), p, plain=True) / continuum_velocity(p)
    assert 0.6 * target < error < 1.04 * target


@SETS
def test_the_calibrated_scheme_keeps_its_bound_in_recovering_tissue(name):
    p, target = PARAMETER_SETS[name], 0.04
    spacing, dt_ms = in_units_of_d(resolution_for(target, D, p))
    factor = diffusivity_factor(spacing, dt_ms, p)
    for v in (1.0, 0.75, 0.5):
        fine, finer = (
            cable_velocity(h * np.sqrt(p.tau_d), step * p.tau_d, p, v=v)
            for h, step in ((0.8, 0.08), (0.4, 0.02))
        )
        true = finer + (finer - fine) / 3
        found = cable_velocity(spacing, dt_ms, p, factor=factor, v=v)
        # The relative error of the reference is 0.1 %.
        assert abs(found / true - 1) < target + 1e-3


@pytest.mark.parametrize("name", ["FK-CAF", "FK98-GP"])
@pytest.mark.parametrize("scheme", [PLAIN, Scheme()], ids=["plain", "default"])
def test_the_crest_of_a_wave_is_stable_up_to_the_largest_step(name, scheme):
    # A checkerboard on the crest would raise u above 1, the equilibrium of the fast current.
    p, spacing_mm = PARAMETER_SETS[name], 0.2
    tissue = Tissue(spacing_mm=spacing_mm, diffusivity_mm2_per_ms=np.full((40, 40), D))
    dt_ms = 0.99 * stable_dt_ms(spacing_mm, D, p, plain=scheme.plain)
    time_grid = TimeGrid(frame_interval_ms=dt_ms, frames=300, largest_dt_ms=dt_ms)
    centre_mm = 20 * spacing_mm
    pacing = focal(centre_mm, centre_mm)
    highest = max(float(u.max()) for u in Simulation(tissue, pacing, time_grid, p, scheme))
    assert 0.9 < highest < 1.05


@pytest.mark.parametrize("plain", [True, False])
def test_the_chosen_resolution_has_exactly_the_target_error(plain):
    chosen = resolution_for(0.02, 0.01, FK_CAF, plain=plain)
    assert cv_error(chosen, 0.01, FK_CAF, plain=plain) == pytest.approx(0.02)


def test_the_plain_resolution_is_the_cheapest_of_its_error():
    chosen = resolution_for(0.1, D, FK_CAF, plain=True)
    cost = 1 / (chosen.spacing_mm**2 * chosen.dt_ms)
    for fraction in np.linspace(0.05, 0.95, 19):
        spacing = chosen.spacing_mm * np.sqrt(2 * fraction)
        dt = chosen.dt_ms * 2 * (1 - fraction)
        assert cv_error(Resolution(spacing, dt), D, FK_CAF, plain=True) == pytest.approx(0.1)
        assert 1 / (spacing**2 * dt) >= 0.999999 * cost


@SETS
@pytest.mark.parametrize("spacing_mm", [0.1, 0.5, 2.0])
def test_default_steps_are_far_below_the_pole_of_the_implicit_current(name, spacing_mm):
    p = PARAMETER_SETS[name]
    assert stable_dt_ms(spacing_mm, D, p) < 0.3 * 2 * p.tau_d / (1 - p.u_c)
    assert calibrated_dt_ms(spacing_mm, D, p) <= stable_dt_ms(spacing_mm, D, p)


@SETS
@pytest.mark.parametrize("spacing", [1.0, 2.0, 4.0])
def test_calibration_raises_d_within_its_bound(name, spacing):
    p = PARAMETER_SETS[name]
    h = spacing * np.sqrt(p.tau_d)
    factor = diffusivity_factor(h, calibrated_dt_ms(h, 1.0, p), p)
    assert 1 < factor < 1 + LARGEST_INCREASE * spacing**2
