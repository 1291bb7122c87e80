"""The cost of accuracy: solve cases at several CV error targets and compare with a reference.

The sample is stratified: it takes the first cases of each condition. The plain scheme runs at a
spacing of 0.68 sqrt(D ms) and a step of 0.01 ms, which slow a plane wave by 5 % and 1 %. The
reference is the calibrated scheme at a quarter of the default target, without skipping tissue at
rest; `tests/physics/test_velocity_correction.py` shows that it agrees with the plain scheme on a
fine grid. CPU time covers the solver and Eq. 1 at every frame of the library. Activation times need
shorter frames and therefore come from a separate run.
"""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from fwdecg.cases.conditions import CONDITIONS
from fwdecg.cases.draw import Case, draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.solver_config import SolverConfig
from fwdecg.cases.splits import assign_case
from fwdecg.physics.markers import activation_times_ms
from fwdecg.physics.monodomain import Simulation
from fwdecg.physics.pseudo_ecg import FRAMES_AT_ONCE, lead_fields, pseudo_ecg
from fwdecg.shapes import Field

logger = logging.getLogger(__name__)

PLAIN = "plain"
PLAIN_SPACING = 0.68  # in sqrt(D ms)
PLAIN_DT_MS = 0.01
REFERENCE_TARGET = 0.005

# Activation times are interpolated between frames, so the interval must be short compared with the
# upstroke.
LONGEST_INTERVAL_MS = 0.5
POINTS = 50  # rows and columns of the points at which activation times are compared


class _Solution(NamedTuple):
    ecg: Float64[np.ndarray, "electrode frame"]
    activation_ms: Field
    cost: dict[str, float]


def solver_accuracy(
    config: LibraryConfig, targets: Sequence[float], cases_per_condition: int
) -> Iterator[list[dict[str, Any]]]:
    """Yield one list for each case of a stratified sample: cost and errors of each setting.

    Args:
        config: configuration of the library from which the cases are drawn.
        targets: CV error targets of the calibrated scheme. The plain scheme runs first.
        cases_per_condition: number of cases per condition.
    """
    short_frames = math.ceil(config.recording.frame_interval_ms / LONGEST_INTERVAL_MS)
    calibrated = replace(config.solver, scheme="calibrated", spacing_mm=None, dt_ms=None)
    settings = {f"{target:g}": replace(calibrated, cv_error=target) for target in targets}
    for case in _sample(config, cases_per_condition):
        lowest, _ = case.sheet.diffusivity_bounds_mm2_per_ms
        plain = SolverConfig(
            cell_model=config.solver.cell_model,
            scheme="plain",
            skip_rest=False,
            spacing_mm=PLAIN_SPACING * float(np.sqrt(lowest)),
            dt_ms=PLAIN_DT_MS,
        )
        finest = replace(calibrated, cv_error=REFERENCE_TARGET, skip_rest=False)
        reference = _solve(case, config, finest, short_frames)
        outcomes = []
        for setting, solver in ({PLAIN: plain} | settings).items():
            solution = _solve(case, config, solver, 1)
            activation_ms = _solve(case, config, solver, short_frames).activation_ms
            outcome = {
                "setting": setting,
                "case_id": case.spec.case_id,
                "condition": case.spec.condition,
                "diffusivity_mm2_per_ms": case.spec.bulk_diffusivity_mm2_per_ms,
                **solution.cost,
                "ecg_r2": _lowest_r2(solution.ecg, reference.ecg),
                **_activation_errors(activation_ms, reference.activation_ms),
            }
            logger.info(
                "case %(case_id)d (%(condition)s, D = %(diffusivity_mm2_per_ms).3f mm^2/ms), "
                "%(setting)s: %(core_seconds).1f s, ECG R2 %(ecg_r2).5f, activation error "
                "%(activation_error_ms).2f ms",
                outcome,
            )
            outcomes.append(outcome)
        yield outcomes


def _sample(config: LibraryConfig, cases_per_condition: int) -> Iterator[Case]:
    counts = dict.fromkeys(CONDITIONS, 0)
    for case_id in range(config.cases):
        assignment = assign_case(case_id, config.shifts)
        condition = assignment.condition
        if assignment.shift is None and counts[condition] < cases_per_condition:
            counts[condition] += 1
            yield draw_case(config, case_id)


def _solve(
    case: Case, config: LibraryConfig, solver: SolverConfig, frames_per_interval: int
) -> _Solution:
    """Solve a case with one or more frames per frame interval of the library."""
    recording = config.recording
    chosen = solver.resolution(*case.sheet.diffusivity_bounds_mm2_per_ms)
    tissue = case.sheet.rasterise(chosen.spacing_mm)
    time_grid = solver.time_grid(
        tissue,
        chosen.dt_ms,
        interval_ms=recording.frame_interval_ms / frames_per_interval,
        frames=(recording.frames - 1) * frames_per_interval + 1,
    )
    corner, weight = _comparison_points(tissue.conducts.shape[0])
    ecg, corners = [], []
    started = time.process_time()
    leads = lead_fields(tissue, case.electrodes_mm, np.float32)
    ecg_seconds, sampling_seconds = time.process_time() - started, 0.0
    simulation = Simulation(
        tissue, case.pacing, time_grid, solver.parameters, solver.discretisation
    )
    for stack in simulation.stacks(FRAMES_AT_ONCE * frames_per_interval):
        solved = time.process_time()
        ecg.append(pseudo_ecg(stack[::frames_per_interval], leads))
        computed = time.process_time()
        corners.append(stack[:, corner[:, None], corner])
        ecg_seconds += computed - solved
        sampling_seconds += time.process_time() - computed
    core_seconds = time.process_time() - started - sampling_seconds
    all_updates = tissue.conducts.size * time_grid.steps_per_frame * (time_grid.frames - 1)
    activation_ms = activation_times_ms(np.concatenate(corners), time_grid.frame_interval_ms)
    return _Solution(
        ecg=np.concatenate(ecg, axis=1),
        activation_ms=_interpolate(activation_ms, weight),
        cost={
            "core_seconds": core_seconds,  # CPU time of solver and ECG
            "ecg_share": ecg_seconds / core_seconds,
            "node_updates": simulation.node_updates,  # cells times steps computed
            "skipped_share": 1 - simulation.node_updates / all_updates,
        },
    )


def _comparison_points(
    cells: int,
) -> tuple[Int64[np.ndarray, " twice_points"], Float64[np.ndarray, " points"]]:
    """Return points that lie at the same positions on every raster, along one axis.

    Args:
        cells: number of cells along the axis.

    Returns:
        The two cells between whose centres each point lies, and the weight of the second cell.
    """
    position = np.clip((np.arange(POINTS) + 0.5) / POINTS * cells - 0.5, 0, cells - 1.001)
    low = position.astype(np.int64)
    return np.stack([low, low + 1], axis=1).ravel(), position - low


def _interpolate(
    corners: Float64[np.ndarray, "twice_points twice_points"],
    weight: Float64[np.ndarray, " points"],
) -> Field:
    """Interpolate bilinearly between the four cells around each point; NaN if any cell is NaN."""
    rows = corners[::2] * (1 - weight[:, None]) + corners[1::2] * weight[:, None]
    return rows[:, ::2] * (1 - weight) + rows[:, 1::2] * weight


def _activation_errors(found_ms: Field, true_ms: Field) -> dict[str, float]:
    error_ms = np.abs(found_ms - true_ms)
    either = ~(np.isnan(found_ms) & np.isnan(true_ms))
    return {
        "activation_error_ms": float(np.nanmedian(error_ms)),
        # The relative error of the mean velocity from the stimulus to a point.
        "velocity_error": float(np.nanmedian(error_ms / true_ms)),
        # The fraction of the points activated in either solution that are not activated in both.
        "unmatched_share": float(np.isnan(error_ms[either]).mean()),
    }


def _lowest_r2(
    found: Float64[np.ndarray, "electrode frame"], true: Float64[np.ndarray, "electrode frame"]
) -> float:
    """Return R^2 of phi_e at the electrode where it is lowest."""
    residual = ((found - true) ** 2).sum(axis=1)
    total = ((true - true.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return float((1 - residual / total).min())
