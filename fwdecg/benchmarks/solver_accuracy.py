"""What accuracy costs: cases of a library at several targets, against a converged reference.

The sample is stratified: the first cases of each condition. The plain scheme runs at a spacing of
0.68 sqrt(D ms) and a step of 0.01 ms, which cost a plane wave 5 % and 1 % of its velocity. The
reference is the calibrated scheme at a quarter of the default's target and without skipping; that
it agrees with the plain scheme on a fine grid, a test shows. Processor time is the solver's and
Eq. 1's, an ECG at every frame of the library; activation times come from a run of its own.
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
from fwdecg.cases.shifts import place_of
from fwdecg.cases.solver_config import SolverConfig
from fwdecg.physics.markers import activation_times_ms
from fwdecg.physics.monodomain import Simulation
from fwdecg.physics.pseudo_ecg import FRAMES_AT_ONCE, lead_fields, pseudo_ecg
from fwdecg.shapes import Field

logger = logging.getLogger(__name__)

PLAIN = "plain"
PLAIN_SPACING = 0.68  # in sqrt(D ms)
PLAIN_DT_MS = 0.01
REFERENCE_TARGET = 0.005

# Activation times are interpolated between frames, which must be short against the upstroke.
LONGEST_INTERVAL_MS = 0.5
POINTS = 50  # rows and columns of points at which activation is compared


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One case at one setting.

    Attributes:
        setting: `PLAIN`, or the target of the CV error.
        case_id: of the library.
        condition: of the tissue.
        diffusivity_mm2_per_ms: D.
        core_seconds: processor time of solver and ECG.
        ecg_share: of it, spent on the ECG.
        node_updates: cells times steps computed.
        skipped_share: of all cells times steps, left out as at rest.
        ecg_r2: of phi_e against the reference; the least of the electrodes.
        activation_error_ms: median of |activation time - the reference's| over the sheet.
        velocity_error: median of that as a share of the reference's time: the error of the mean
            velocity on the way to a point.
        unmatched_share: of the points that activate in one of the two, those that do not in both.
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
    """Outcomes of a stratified sample, case by case, each with the plain scheme first.

    Args:
        config: the library the cases are drawn from.
        targets: of the CV error, for the solver of `config`.
        cases_per_condition: size of the sample.
    """
    for case in _sample(config, cases_per_condition):
        slowest, _ = case.sheet.diffusivity_bounds_mm2_per_ms
        calibrated = replace(config.solver, scheme="calibrated", spacing_mm=None, dt_ms=None)
        reference = _solve(
            case, config, replace(calibrated, cv_error=REFERENCE_TARGET, skip_rest=False)
        )
        plain = SolverConfig(
            cell_model=config.solver.cell_model,
            scheme="plain",
            skip_rest=False,
            spacing_mm=PLAIN_SPACING * float(np.sqrt(slowest)),
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
                    _solve(case, config, solver, finely=False),
                    activation_ms=_solve(case, config, solver).activation_ms,
                ),
                reference,
            )
            for setting, solver in settings.items()
        ]


def _sample(config: LibraryConfig, cases_per_condition: int) -> Iterator[Case]:
    found = dict.fromkeys(CONDITIONS, 0)
    for case_id in range(config.cases):
        place = place_of(case_id, config.shifts)
        if place.shift is None and found[place.condition] < cases_per_condition:
            found[place.condition] += 1
            yield draw_case(config, case_id)


def _solve(
    case: Case, config: LibraryConfig, solver: SolverConfig, *, finely: bool = True
) -> _Solution:
    """A case as the library simulates it, or in short frames, which cost time of their own."""
    recording = config.recording
    chosen = solver.resolution(*case.sheet.diffusivity_bounds_mm2_per_ms)
    tissue = case.sheet.rasterise(chosen.spacing_mm)
    every = math.ceil(recording.frame_interval_ms / LONGEST_INTERVAL_MS) if finely else 1
    clock = solver.clock(
        tissue,
        chosen.dt_ms,
        interval_ms=recording.frame_interval_ms / every,
        frames=(recording.frames - 1) * every + 1,
    )
    started = time.process_time()
    leads = lead_fields(tissue, case.electrodes_mm, np.float32)
    ecg_seconds = time.process_time() - started
    points = _Points.on(tissue.conducts.shape[0])
    ecg, sampled, solver_seconds = [], [], -time.process_time()
    simulation = Simulation(tissue, case.pacing, clock, solver.parameters, solver.discretisation)
    for stack in simulation.in_stacks(FRAMES_AT_ONCE * every):
        now = time.process_time()
        solver_seconds += now
        ecg.append(pseudo_ecg(stack[::every], leads))
        ecg_seconds += time.process_time() - now
        sampled += [points.corners(u) for u in stack]
        solver_seconds -= time.process_time()
    solver_seconds += time.process_time()
    return _Solution(
        ecg=np.concatenate(ecg, axis=1),
        activation_ms=points.between(
            activation_times_ms(np.stack(sampled), clock.frame_interval_ms)
        ),
        solver_seconds=solver_seconds,
        ecg_seconds=ecg_seconds,
        node_updates=simulation.node_updates,
        all_updates=tissue.conducts.size * clock.steps_per_frame * (clock.frames - 1),
    )


Corners = Float[np.ndarray, "twice_points twice_points"]


class _Points(NamedTuple):
    """Points of the sheet, the same on every raster, each between four cells' centres."""

    corner: Int64[np.ndarray, " twice_points"]
    weight: Float64[np.ndarray, " points"]

    @classmethod
    def on(cls, cells: int) -> "_Points":
        position = np.clip((np.arange(POINTS) + 0.5) / POINTS * cells - 0.5, 0, cells - 1.001)
        low = position.astype(np.int64)
        return cls(np.stack([low, low + 1], axis=1).ravel(), position - low)

    def corners(self, field: Field) -> Corners:
        """The values of the cells around the points."""
        return field[np.ix_(self.corner, self.corner)]

    def between(self, corners: Corners) -> Field:
        """Bilinear interpolation of such values; NaN where any of the four is."""
        rows = corners[::2] * (1 - self.weight[:, None]) + corners[1::2] * self.weight[:, None]
        return rows[:, ::2] * (1 - self.weight) + rows[:, 1::2] * self.weight


def _compare(setting: str, case: Case, found: _Solution, reference: _Solution) -> Outcome:
    core_seconds = found.solver_seconds + found.ecg_seconds
    late_ms = np.abs(found.activation_ms - reference.activation_ms)
    either = ~(np.isnan(found.activation_ms) & np.isnan(reference.activation_ms))
    outcome = Outcome(
        setting=setting,
        case_id=case.spec.case_id,
        condition=case.spec.condition,
        diffusivity_mm2_per_ms=case.spec.bulk_diffusivity_mm2_per_ms,
        core_seconds=core_seconds,
        ecg_share=found.ecg_seconds / core_seconds,
        node_updates=found.node_updates,
        skipped_share=1 - found.node_updates / found.all_updates,
        ecg_r2=_least_r2(found.ecg, reference.ecg),
        activation_error_ms=float(np.nanmedian(late_ms)),
        velocity_error=float(np.nanmedian(late_ms / reference.activation_ms)),
        unmatched_share=float(np.isnan(late_ms[either]).mean()),
    )
    logger.info(
        "case %d, %s, D = %.3f: %s takes %.1f s, R2 of the ECG %.5f, activation off by %.2f ms",
        outcome.case_id,
        outcome.condition,
        outcome.diffusivity_mm2_per_ms,
        outcome.setting,
        outcome.core_seconds,
        outcome.ecg_r2,
        outcome.activation_error_ms,
    )
    return outcome


def _least_r2(
    found: Float64[np.ndarray, "electrode frame"], true: Float64[np.ndarray, "electrode frame"]
) -> float:
    residual = ((found - true) ** 2).sum(axis=1)
    spread = ((true - true.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return float((1 - residual / spread).min())
