from dataclasses import replace

import numpy as np
import pytest

from fwdecg.cases.draw import draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.pacing import PacingConfig
from fwdecg.cases.recording_config import MAX_FRAME_INTERVAL_MS, RecordingConfig
from fwdecg.cases.simulation import simulate_case
from fwdecg.cases.solver_config import SolverConfig
from fwdecg.cases.tissue_config import TissueConfig
from fwdecg.errors import CaseError
from fwdecg.physics.fenton_karma import PARAMETER_SETS
from fwdecg.physics.monodomain import Simulation, TimeGrid
from fwdecg.physics.pseudo_ecg import lead_fields
from fwdecg.physics.raster import area_mean


def test_maps_and_ecg_match_the_solver(small_config):
    case = draw_case(small_config, 3)
    record = simulate_case(case, small_config)
    tissue = case.sheet.rasterise(0.25)
    time_grid = TimeGrid(frame_interval_ms=5.0, frames=8, largest_dt_ms=0.05)
    fields = [
        u.astype(float)
        for u in Simulation(tissue, case.pacing, time_grid, PARAMETER_SETS["FK-CAF"])
    ]
    leads = lead_fields(tissue, np.array(small_config.electrodes_mm))
    expected = np.stack([[(lead * u).sum() for u in fields] for lead in leads])
    np.testing.assert_allclose(record.phi_e, expected, rtol=1e-5, atol=1e-9)
    maps = np.stack([area_mean(u, 8) for u in fields])
    np.testing.assert_allclose(record.u, maps, atol=5e-4)  # half precision: 2^-11
    assert record.u.shape == (8, 8, 8)
    assert record.phi_e.shape == (2, 8)
    assert record.node_updates == 32 * 32 * 100 * 7
    assert record.diffusivity_mm2_per_ms.max() == pytest.approx(
        case.spec.bulk_diffusivity_mm2_per_ms
    )


def test_the_recorded_error_meets_the_target(small_config):
    config = replace(small_config, solver=SolverConfig(cv_error=0.1))
    record = simulate_case(draw_case(config, 1), config)
    assert 0.08 < record.cv_error_estimate <= 0.1


def test_varying_d_is_resolved_for_its_smallest_value(small_config):
    tissue = replace(small_config.tissue, diffusivity_variation=0.6)
    config = replace(small_config, tissue=tissue, solver=SolverConfig(cv_error=0.1))
    case = draw_case(config, 1)
    record = simulate_case(case, config)
    bulk = case.spec.bulk_diffusivity_mm2_per_ms
    aimed_mm = config.solver.resolution(0.4 * bulk).spacing_mm
    assert 0.95 * aimed_mm < record.solver_spacing_mm <= aimed_mm
    assert record.cv_error_estimate == pytest.approx(
        config.solver.expected_cv_error(0.4 * bulk), rel=0.1
    )
    raster = case.sheet.rasterise(aimed_mm).diffusivity_mm2_per_ms
    np.testing.assert_allclose(record.diffusivity_mm2_per_ms, area_mean(raster, 8), rtol=1e-6)
    assert np.ptp(record.diffusivity_mm2_per_ms) > 0.1 * bulk


def test_an_ecg_that_is_not_finite_is_refused(small_config, monkeypatch):
    monkeypatch.setattr(
        "fwdecg.cases.simulation.pseudo_ecg", lambda u, leads: np.full((2, len(u)), np.nan)
    )
    with pytest.raises(CaseError, match="a map or the ECG contains a value that is not finite"):
        simulate_case(draw_case(small_config, 1), small_config)


def test_a_case_beyond_the_time_limit_is_refused(small_config):
    config = replace(small_config, case_time_limit_s=1e-9)
    with pytest.raises(CaseError, match=r"exceeds library\.case_time_limit_s = 1e-09"):
        simulate_case(draw_case(config, 0), config)


def test_a_case_that_does_not_activate_is_refused(small_config):
    recording = replace(small_config.recording, duration_ms=10.0, least_activated_fraction=0.9)
    config = replace(small_config, recording=recording)
    with pytest.raises(CaseError, match="of the conducting tissue activates, less than"):
        simulate_case(draw_case(config, 0), config)


@pytest.mark.parametrize("name", PARAMETER_SETS)
def test_the_largest_frame_interval_misses_no_activation(small_config, name):
    solver = SolverConfig(cell_model=name, cv_error=0.1)
    short, long = (
        replace(
            small_config,
            solver=solver,
            recording=replace(
                small_config.recording,
                duration_ms=2 * MAX_FRAME_INTERVAL_MS,
                frame_interval_ms=interval_ms,
            ),
        )
        for interval_ms in (5.0, MAX_FRAME_INTERVAL_MS)
    )
    # The wave reaches the whole sheet before the second frame of the long interval.
    case = draw_case(short, 0)
    found = simulate_case(case, long).activated_fraction
    assert found == simulate_case(case, short).activated_fraction > 0.99


@pytest.fixture(scope="module")
def reentry_config():
    """Sheets of 16 mm at D = 0.01 mm^2/ms, equivalent to 50 mm at D = 0.1."""
    slow = (0.01, 0.011)
    return LibraryConfig(
        tissue=TissueConfig(
            size_mm=16.0,
            healthy_diffusivity_mm2_per_ms=slow,
            remodelled_diffusivity_mm2_per_ms=slow,
        ),
        pacing=PacingConfig(protocol="reentry"),
        solver=SolverConfig(cv_error=0.05),
        recording=RecordingConfig(
            duration_ms=800.0, map_pixels=8, electrodes_mm=((8.0, 8.0, 6.0),)
        ),
    )


def test_a_second_stimulus_sustains_activity(reentry_config):
    reentrant = draw_case(reentry_config, 1)
    paced_once = draw_case(replace(reentry_config, pacing=PacingConfig()), 1)
    assert reentrant.sheet == paced_once.sheet
    record, planar_record = (
        simulate_case(case, reentry_config) for case in (reentrant, paced_once)
    )
    assert planar_record.active_fraction_at_end == 0
    assert not planar_record.u[-1].any()
    assert record.active_fraction_at_end > 0.3
    s2_frame = int(record.spec.stimulus_s2_start_ms / 5.0)
    np.testing.assert_array_equal(record.u[:s2_frame], planar_record.u[:s2_frame])
