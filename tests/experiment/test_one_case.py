"""A single simulated case equals the case of a library with the same settings."""

import numpy as np
import pytest

from fwdecg.errors import ConfigError
from fwdecg.experiment.one_case import simulate
from fwdecg.library.labelled_cases import load_case

SMALL = (
    "library.tissue.size_mm=8",
    "library.tissue.large_patch_size_mm=[1, 2]",
    "library.tissue.small_patch_size_mm=[0.3, 0.6]",
    "library.solver.spacing_mm=0.25",
    "library.solver.dt_ms=0.05",
    "library.recording.duration_ms=40",
    "library.recording.map_pixels=8",
    "library.recording.electrodes_mm=[[4, 4, 5], [0, 0, 3]]",
    "library.recording.least_activated_fraction=0.1",
)


@pytest.mark.parametrize(
    ("condition", "number", "case_id"), [("healthy", 0, 0), ("fibrosis", 3, 9), ("combined", 1, 8)]
)
def test_a_case_equals_that_of_the_library(condition, number, case_id, small_library):
    simulated = simulate(condition, number=number, settings=SMALL)
    recorded = load_case(small_library.store.folder, case_id)
    assert (simulated.case_id, simulated.condition) == (case_id, condition)
    for name in ("u", "phi_e_mm_per_ms", "time_ms", "electrodes_mm", "diffusivity_mm2_per_ms"):
        np.testing.assert_array_equal(getattr(simulated, name), getattr(recorded, name))
    np.testing.assert_allclose(simulated.activation_ms, recorded.activation_ms)
    assert simulated.bulk_diffusivity_mm2_per_ms == recorded.bulk_diffusivity_mm2_per_ms
    assert simulated.map_spacing_mm == recorded.map_spacing_mm


def test_a_fixed_resolution_logs_a_warning(caplog):
    simulate(settings=SMALL)
    assert any("spacing_mm or dt_ms is fixed" in message for message in caplog.messages)


def test_overrides_of_a_preset(small_preset):
    case = simulate(preset=small_preset, settings=["library.recording.map_pixels=16"])
    assert case.u.shape == (8, 16, 16)


def test_settings_by_key_and_presets_without_suffix():
    changes = {
        "library.recording.duration_ms": 20,
        "library.recording.map_pixels": np.int64(12),
        "library.solver.cv_error": 0.2,
        "library.recording.least_activated_fraction": 0,
    }
    case = simulate(preset="quickstart", settings=changes)
    assert case.u.shape == (4, 12, 12)
    text = [f"{key}={value}" for key, value in changes.items()]
    np.testing.assert_array_equal(simulate(preset="quickstart.toml", settings=text).u, case.u)
    with pytest.raises(ConfigError, match="give a list of settings, or values by key"):
        simulate(settings="library.recording.duration_ms=20")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"library": {"recording": {"duration_ms": 20}}}, "library is a section: set its keys one"),
        (["library.recording={duration_ms=20}"], "library.recording is a section: set its keys"),
    ],
)
def test_settings_of_another_form_are_rejected(settings, message):
    with pytest.raises(ConfigError, match=message):
        simulate(preset="quickstart", settings=settings)


def test_other_electrodes_replace_a_grid_and_need_no_mirror_image():
    changes = {
        "library.recording.electrode_grid": [2, 2],
        "library.recording.duration_ms": 20,
        "library.solver.cv_error": 0.2,
        "library.recording.least_activated_fraction": 0,
    }
    assert len(simulate(preset="quickstart", settings=changes).electrodes_mm) == 4
    # The preset mirrors its training cases, which would change the ECG at this electrode.
    own = changes | {"library.recording.electrodes_mm": [[3, 4, 5]]}
    case = simulate(preset="quickstart", settings=own)
    np.testing.assert_array_equal(case.electrodes_mm, [[3, 4, 5]])


def test_shifted_cases_are_not_counted():
    shifts = (*SMALL, 'library.shifts=["electrode"]')
    assert simulate("healthy", number=10, settings=shifts).case_id == 55


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"condition": "ill"}, "condition = 'ill': must be one of healthy, gap_junction, fibrosis"),
        ({"number": -1}, "number = -1: must be a whole number, at least 0"),
    ],
)
def test_bad_input_is_an_error(arguments, message):
    with pytest.raises(ConfigError, match=message):
        simulate(**arguments)
