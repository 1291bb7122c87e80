import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.cases.solver_config import SolverConfig
from fwdecg.physics.tissue import Tissue


def test_the_resolution_depends_on_the_diffusivity_of_the_case():
    solver = SolverConfig(cv_error=0.08)
    for diffusivity in (0.01, 0.05, 0.1):
        assert solver.expected_cv_error(diffusivity) == pytest.approx(0.08)
        assert solver.resolution(diffusivity).spacing_mm / np.sqrt(diffusivity) == pytest.approx(
            solver.resolution(1.0).spacing_mm
        )
    assert SolverConfig(spacing_mm=0.25, dt_ms=0.02).resolution(0.05) == (0.25, 0.02)


@given(
    smallest=st.floats(0.005, 0.1),
    ratio=st.floats(1.0, 30.0),
    cv_error=st.floats(0.005, 0.2),
    scheme=st.sampled_from(["calibrated", "plain"]),
)
def test_every_chosen_step_is_stable_where_d_is_largest(smallest, ratio, cv_error, scheme):
    solver = SolverConfig(cv_error=cv_error, scheme=scheme)
    spacing_mm, dt_ms = solver.resolution(smallest, ratio * smallest)
    assert spacing_mm == solver.resolution(smallest).spacing_mm
    assert dt_ms <= 0.9 * solver.stable_dt_ms(spacing_mm, ratio * smallest)


def test_only_a_fixed_time_step_is_kept_where_waves_lock_to_the_grid():
    tissue = Tissue(spacing_mm=0.2, diffusivity_mm2_per_ms=np.full((4, 4), 0.1))
    crossing_ms = 0.2 / (2.0777 * np.sqrt(0.1))
    steps = {
        name: SolverConfig(**given)
        .time_grid(tissue, crossing_ms / 8, interval_ms=5.0, frames=2)
        .steps_per_frame
        for name, given in {
            "target": {},
            "spacing": {"spacing_mm": 0.2},
            "step": {"dt_ms": crossing_ms / 8},
        }.items()
    }
    assert steps["spacing"] == steps["target"] > steps["step"]
