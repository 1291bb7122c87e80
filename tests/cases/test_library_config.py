from dataclasses import replace

import pytest

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.pacing import PacingConfig
from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.cases.solver_config import SolverConfig
from fwdecg.cases.tissue_config import TissueConfig
from fwdecg.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"electrode_grid": (0, 3)}, r"electrode_grid = \(0, 3\): must be at least 1"),
        (
            {"electrode_grid": (1, 1), "electrode_grid_height_mm": 0.5},
            "recording.electrode_grid_height_mm: electrode .* mm is 0.5 mm from the sheet: it must "
            "be at least 1 mm away; raise its z",
        ),
        ({"electrodes_mm": ((1.0, 1.0, 0.0),)}, "recording.electrodes_mm: electrode"),
        ({"electrodes_mm": ()}, r"electrodes_mm = \[\]: give at least one electrode"),
    ],
)
def test_invalid_electrodes_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        LibraryConfig(recording=RecordingConfig(**values))


def test_a_step_must_be_stable_where_d_is_largest():
    # 0.2^2 / (4 (D + 0.03 0.2^2 / 0.125)) is 0.091 ms at D = 0.1, limited to half of tau_d, and
    # 0.0573 ms at D = 0.165.
    solver = SolverConfig(spacing_mm=0.2, dt_ms=0.06)
    tissue = TissueConfig(remodelled_diffusivity_mm2_per_ms=(0.05, 0.09))
    LibraryConfig(solver=solver, tissue=tissue)
    with pytest.raises(ConfigError, match="dt_ms = 0.06: must be at most 0.0573 .* D = 0.165"):
        LibraryConfig(solver=solver, tissue=replace(tissue, diffusivity_variation=0.65))


def test_cells_must_resolve_a_wave_where_d_is_smallest():
    tissue = TissueConfig(remodelled_diffusivity_mm2_per_ms=(0.02, 0.09))
    solver = SolverConfig(spacing_mm=0.3)  # expected error 0.0055 * 0.09 / (0.125 D)
    LibraryConfig(solver=solver, tissue=tissue)
    with pytest.raises(ConfigError, match="at D = 0.01 mm.*lower solver.spacing_mm"):
        LibraryConfig(solver=solver, tissue=replace(tissue, diffusivity_variation=0.5))


def test_a_frame_interval_below_the_smallest_time_step_is_refused():
    with pytest.raises(
        ConfigError, match="recording.frame_interval_ms: a frame every 0.0001 ms .* at least 0.0005"
    ):
        LibraryConfig(recording=RecordingConfig(duration_ms=0.01, frame_interval_ms=1e-4))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shifts": ("electrodes",)}, "must be a list of diffusivity, patch_size, stimulus, elec"),
        ({"shifts": ("electrode", "electrode")}, "name each shift once"),
        (
            {
                "shifts": ("diffusivity",),
                "tissue": TissueConfig(shifted_diffusivity_mm2_per_ms=(0.10, 0.15)),
            },
            r"tissue.shifted_diffusivity_mm2_per_ms = \[0.1, 0.15\]: must not overlap "
            r"tissue.healthy_diffusivity_mm2_per_ms = \[0.09, 0.1\]; choose",
        ),
        (
            {
                "shifts": ("diffusivity",),
                "tissue": TissueConfig(shifted_diffusivity_mm2_per_ms=(0.005, 0.2)),
            },
            "must not overlap",
        ),
        (
            {
                "shifts": ("patch_size",),
                "tissue": TissueConfig(shifted_patch_size_mm=(12.0, 25.0)),
            },
            r"must not overlap tissue.large_patch_size_mm = \[5.0, 15.0\]",
        ),
        (
            {"shifts": ("stimulus",), "pacing": PacingConfig(protocol="focal")},
            'the shift stimulus needs a plane wave, but pacing.protocol = "focal"; remove',
        ),
        (
            {
                "shifts": ("electrode",),
                "recording": RecordingConfig(electrode_shift_mm=(0.0, 0.0, -39.5)),
            },
            "recording.electrode_shift_mm: electrode .* is 0.5 mm from the sheet",
        ),
        (
            {
                "shifts": ("electrode",),
                "recording": RecordingConfig(electrode_shift_mm=(0.0, 0.0, 0.0)),
            },
            r"electrode_shift_mm = \[0.0, 0.0, 0.0\]: must not be zero",
        ),
    ],
)
def test_ineffective_shifts_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        LibraryConfig(**values)
    LibraryConfig(**values | {"shifts": ()})


@pytest.mark.parametrize(
    ("values", "bounds"),
    [
        ({"shifts": ("stimulus",)}, (0.01, 0.10)),
        ({"shifts": ("diffusivity",)}, (0.01, 0.15)),
        ({"tissue": TissueConfig(diffusivity_variation=0.5)}, (0.005, 0.15)),
    ],
)
def test_bounds_of_d_include_shifted_cases_and_variation(values, bounds):
    assert LibraryConfig(**values).diffusivity_bounds_mm2_per_ms == pytest.approx(bounds)
