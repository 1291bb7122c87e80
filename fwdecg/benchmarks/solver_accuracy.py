"""The cost of accuracy: cases of a library at several targets, against a converged reference.

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
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64

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


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Cost and errors of one case at one setting.

    Attributes:
        setting: `PLAIN`, or the target of the CV error.
        case_id: case id in the library.
        condition: tissue condition.
        diffusivity_mm2_per_ms: bulk D.
        core_seconds: CPU time of solver and ECG.
        ecg_share: fraction of the CPU time spent on the ECG.
        node_updates: number of cell updates computed (cells times steps).
        skipped_share: fraction of all cell updates skipped because the tissue was at rest.
        ecg_r2: R^2 of phi_e against the reference, at the electrode where it is lowest.
        activation_error_ms: median absolute error of the activation time over the sheet.
        velocity_error: median of that error relative to the reference's activation time, which is
            the relative error of the mean velocity from the stimulus to a point.
        unmatched_share: fraction of the points activated in either solution that are not activated
            in both.
    """

    setting: str
    case_id: int
    condition: str
    diffusivity_mm2_per_ms: float
    core_seconds: float
    ecg_share: float
    node_updates: int
    skipped_share: float
    ecg_r2: float
    activation_error_ms: float
    velocity_error: float
    unmatched_share: float


@dataclass(frozen=True, kw_only=True)
class _Solution:
    ecg: Float64[np.ndarray, "electrode frame"]
    activation_ms: Field
    solver_seconds: float
    ecg_seconds: float
    node_updates: int
    all_updates: int


def solver_accuracy(
    config: LibraryConfig, targets: Sequence[float], cases_per_condition: int
) -> Iterator[list[Outcome]]:
    """Yield the outcomes of each case of a stratified sample; the plain scheme comes first.

    Args:
        config: configuration of the library from which the cases are drawn.
        targets: targets of the CV error at which the calibrated scheme runs.
        cases_per_condition: number of cases per condition.
    """
    for case in _sample(config, cases_per_condition):
        lowest, _ = case.sheet.diffusivity_bounds_mm2_per_ms
        calibrated = replace(config.solver, scheme="calibrated", spacing_mm=None, dt_ms=None)
        reference = _solve(
            case, config, replace(calibrated, cv_error=REFERENCE_TARGET, skip_rest=False)
        )
        plain = SolverConfig(
            cell_model=config.solver.cell_model,
            scheme="plain",
            skip_rest=False,
            spacing_mm=PLAIN_SPACING * float(np.sqrt(lowest)),
            dt_ms=PLAIN_DT_MS,
        )
        settings = {PLAIN: plain} | {
            f"{target:g}": replace(calibrated, cv_error=target) for target in targets
        }
        yield [
            _compare(
                setting,
                case,
                replace(
                    _solve(case, config, solver, short_frames=False),
                    activation_ms=_solve(case, config, solver).activation_ms,
                ),
                reference,
            )
            for setting, solver in settings.items()
        ]


def _sample(config: LibraryConfig, cases_per_condition: int) -> Iterator[Case]:
    counts = dict.fromkeys(CONDITIONS, 0)
    for case_id in range(config.cases):
        assignment = assign_case(case_id, config.shifts)
        condition = assignment.condition
        if assignment.shift is None and counts[condition] < cases_per_condition:
            counts[condition] += 1
            yield draw_case(config, case_id)


def _solve(
    case: Case, config: LibraryConfig, solver: SolverConfig, *, short_frames: bool = True
) -> _Solution:
    """Solve a case with the library's frames, or with shorter ones for its activation times."""
    recording = config.recording
    chosen = solver.resolution(*case.sheet.diffusivity_bounds_mm2_per_ms)
    tissue = case.sheet.rasterise(chosen.spacing_mm)
    every = math.ceil(recording.frame_interval_ms / LONGEST_INTERVAL_MS) if short_frames else 1
    time_grid = solver.time_grid(
        tissue,
        chosen.dt_ms,
        interval_ms=recording.frame_interval_ms / every,
        frames=(recording.frames - 1) * every + 1,
    )
    started = time.process_time()
    leads = lead_fields(tissue, case.electrodes_mm, np.float32)
    ecg_seconds = time.process_time() - started
    points = _Points.on(tissue.conducts.shape[0])
    ecg, corners = [], []
    solver_seconds = -time.process_time()
    simulation = Simulation(
        tissue, case.pacing, time_grid, solver.parameters, solver.discretisation
    )
    for stack in simulation.stacks(FRAMES_AT_ONCE * every):
        now = time.process_time()
        solver_seconds += now
        ecg.append(pseudo_ecg(stack[::every], leads))
        ecg_seconds += time.process_time() - now
        corners += [points.corners(u) for u in stack]
        solver_seconds -= time.process_time()
    solver_seconds += time.process_time()
    return _Solution(
        ecg=np.concatenate(ecg, axis=1),
        activation_ms=points.between(
            activation_times_ms(np.stack(corners), time_grid.frame_interval_ms)
        ),
        solver_seconds=solver_seconds,
        ecg_seconds=ecg_seconds,
        node_updates=simulation.node_updates,
        all_updates=tissue.conducts.size * time_grid.steps_per_frame * (time_grid.frames - 1),
    )


Corners = Float[np.ndarray, "twice_points twice_points"]


class _Points(NamedTuple):
    """Comparison points that are the same on every raster, each between four cell centres."""

    corner: Int64[np.ndarray, " twice_points"]
    weight: Float64[np.ndarray, " points"]

    @classmethod
    def on(cls, cells: int) -> "_Points":
        position = np.clip((np.arange(POINTS) + 0.5) / POINTS * cells - 0.5, 0, cells - 1.001)
        low = position.astype(np.int64)
        return cls(np.stack([low, low + 1], axis=1).ravel(), position - low)

    def corners(self, field: Field) -> Corners:
        """Return the values of the four cells around each point."""
        return field[np.ix_(self.corner, self.corner)]

    def between(self, corners: Corners) -> Field:
        """Interpolate such values bilinearly; NaN where any of the four is NaN."""
        rows = corners[::2] * (1 - self.weight[:, None]) + corners[1::2] * self.weight[:, None]
        return rows[:, ::2] * (1 - self.weight) + rows[:, 1::2] * self.weight


def _compare(setting: str, case: Case, solution: _Solution, reference: _Solution) -> Outcome:
    core_seconds = solution.solver_seconds + solution.ecg_seconds
    error_ms = np.abs(solution.activation_ms - reference.activation_ms)
    either = ~(np.isnan(solution.activation_ms) & np.isnan(reference.activation_ms))
    outcome = Outcome(
        setting=setting,
        case_id=case.spec.case_id,
        condition=case.spec.condition,
        diffusivity_mm2_per_ms=case.spec.bulk_diffusivity_mm2_per_ms,
        core_seconds=core_seconds,
        ecg_share=solution.ecg_seconds / core_seconds,
        node_updates=solution.node_updates,
        skipped_share=1 - solution.node_updates / solution.all_updates,
        ecg_r2=_lowest_r2(solution.ecg, reference.ecg),
        activation_error_ms=float(np.nanmedian(error_ms)),
        velocity_error=float(np.nanmedian(error_ms / reference.activation_ms)),
        unmatched_share=float(np.isnan(error_ms[either]).mean()),
    )
    logger.info(
        "case %d (%s, D = %.3f mm^2/ms), %s: %.1f s, ECG R2 %.5f, activation error %.2f ms",
        outcome.case_id,
        outcome.condition,
        outcome.diffusivity_mm2_per_ms,
        outcome.setting,
        outcome.core_seconds,
        outcome.ecg_r2,
        outcome.activation_error_ms,
    )
    return outcome


def _lowest_r2(
    found: Float64[np.ndarray, "electrode frame"], true: Float64[np.ndarray, "electrode frame"]
) -> float:
    residual = ((found - true) ** 2).sum(axis=1)
    total = ((true - true.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return float((1 - residual / total).min())
