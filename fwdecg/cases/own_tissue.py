"""Simulate a user's own tissue, stimuli and electrodes."""

import logging
import math
import warnings
from dataclasses import dataclass, replace

import numpy as np

from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.cases.recording_config import MAX_FRAME_INTERVAL_MS
from fwdecg.cases.simulation import Recorder
from fwdecg.cases.solver_config import SolverConfig
from fwdecg.errors import FwdEcgWarning, TissueError
from fwdecg.physics.fenton_karma import Parameters, require_valid
from fwdecg.physics.map_ecg import electrode_positions
from fwdecg.physics.monodomain import SMALLEST_DT_MS, Simulation, TimeGrid
from fwdecg.physics.raster import pixel_mean
from fwdecg.physics.stimulus import Pacing, Stimulus
from fwdecg.physics.tissue import Tissue
from fwdecg.runtime.progress import Progress, lines_on_stderr
from fwdecg.shapes import Numbers, single_number

logger = logging.getLogger(__name__)

OWN_TISSUE = "own tissue"  # condition of such a case
MOST_CELLS = 20_000_000  # about 2 GB of solver state
MOST_MAP_VALUES = 2_000_000_000  # 8 GB of float32


def simulate_tissue(  # noqa: PLR0913  # what describes an experiment
    tissue: Tissue,
    stimuli: Stimulus | Pacing,
    *,
    electrodes_mm: Numbers,
    duration_ms: float,
    frame_interval_ms: float = 5.0,
    map_spacing_mm: float | None = None,
    cell_model: str | Parameters = "FK-CAF",
    cv_error: float = 0.02,
    solver_spacing_mm: float | None = None,
    dt_ms: float | None = None,
) -> RecordedCase:
    """Simulate a tissue from rest: voltage maps, activation times and ECG.

    The solver chooses its cells by the smallest D of the tissue, so that the estimated error of the
    conduction velocity stays below `cv_error`. The ECG is computed on these cells. Runs of more
    than ten seconds log their progress, on standard error unless the program configures logging.

    Args:
        tissue: D and scar on a raster; see `Tissue.resampled` for how the solver's cells follow.
        stimuli: one or more stimuli, for example a `pacing_train`. Where they overlap, their
            currents add up.
        electrodes_mm: (x, y, z) of each electrode, at least 1 mm from the sheet.
        duration_ms: length of the recording, a multiple of the frame interval.
        frame_interval_ms: time between frames of maps and ECG; the first frame is rest at t = 0.
        map_spacing_mm: side of a pixel of the maps, by default that of the tissue's cells. If it
            does not divide the sheet, the last pixels extend beyond it and conduct in part.
        cell_model: name of a published parameter set, or own parameters.
        cv_error: target relative error of the conduction velocity.
        solver_spacing_mm: upper bound of the side of the solver's cells instead of `cv_error`.
        dt_ms: upper bound of the time step instead of `cv_error`.

    Raises:
        TissueError: an argument is invalid, no wave can propagate, or the sheet needs too many
            cells.
        ConfigError: the cell model, `cv_error`, spacing or step breaks its rule.
        CaseError: the voltage is no longer finite.
    """
    if not isinstance(tissue, Tissue):
        raise TissueError(f"tissue is a {type(tissue).__name__}: must be a fwdecg.Tissue")
    pacing = _pacing(stimuli)
    interval_ms = _number(frame_interval_ms, "frame_interval_ms")
    frames = _frames(pacing, _number(duration_ms, "duration_ms"), interval_ms)
    given_mm = _optional_number(map_spacing_mm, "map_spacing_mm")
    pixel_mm = tissue.spacing_mm if given_mm is None else given_mm
    if not 0 < pixel_mm <= min(tissue.size_mm):
        raise TissueError(
            f"map_spacing_mm = {pixel_mm}: must be above 0 and at most the shorter side of the "
            f"sheet, {min(tissue.size_mm):g} mm"
        )
    _require_memory(frames, tissue, pixel_mm)
    positions_mm = electrode_positions(electrodes_mm)
    solver = _solver(
        cell_model, cv_error=cv_error, solver_spacing_mm=solver_spacing_mm, dt_ms=dt_ms
    )
    raster, time_grid = _discretise(tissue, solver, interval_ms, frames)
    simulation = Simulation(raster, pacing, time_grid, solver.parameters)
    recorder = Recorder(raster, positions_mm, frames)
    diffusivity, conducting = (
        pixel_mean(field[None].astype(np.float64), raster.spacing_mm, pixel_mm)[0]
        for field in (raster.diffusivity_mm2_per_ms, raster.conducts)
    )
    u = np.empty((frames, *diffusivity.shape), dtype=np.float32)
    with lines_on_stderr():
        progress = Progress(logger, "frames simulated", frames, quiet_if_short=True)
        for part, voltage in recorder.watch(simulation):
            u[part] = pixel_mean(voltage, raster.spacing_mm, pixel_mm)
            progress.advance(len(voltage))
    if recorder.activated_fraction == 0:
        warnings.warn(
            "no tissue activates: the stimuli are too small, too weak or too short for this D, "
            "whose unit is mm^2/ms (about 0.1 in the atrium)",
            FwdEcgWarning,
            stacklevel=2,
        )
    return RecordedCase(
        case_id=None,
        condition=OWN_TISSUE,
        bulk_diffusivity_mm2_per_ms=float(
            np.median(raster.diffusivity_mm2_per_ms[raster.conducts])
        ),
        u=u,
        diffusivity_mm2_per_ms=diffusivity,
        conducting_fraction=conducting,
        map_spacing_mm=pixel_mm,
        frame_interval_ms=interval_ms,
        phi_e_mm_per_ms=recorder.phi_e,
        electrodes_mm=positions_mm,
    )


@dataclass(frozen=True, kw_only=True)
class _OwnSolver(SolverConfig):
    """Solver settings with a parameter set that has no published name."""

    own_parameters: Parameters

    @property
    def parameters(self) -> Parameters:
        """Parameters of the cell model."""
        return self.own_parameters


def _solver(
    cell_model: str | Parameters,
    *,
    cv_error: float,
    solver_spacing_mm: float | None,
    dt_ms: float | None,
) -> SolverConfig:
    settings = {
        "cv_error": _number(cv_error, "cv_error"),
        "spacing_mm": _optional_number(solver_spacing_mm, "solver_spacing_mm"),
        "dt_ms": _optional_number(dt_ms, "dt_ms"),
    }
    if isinstance(cell_model, Parameters):
        require_valid(cell_model)
        return _OwnSolver(own_parameters=cell_model, **settings)  # type: ignore[arg-type]
    if not isinstance(cell_model, str):
        raise TissueError(
            f"cell_model = {cell_model!r}: must be a name, or parameters such as "
            "fwdecg.PARAMETER_SETS['FK-CAF']._replace(tau_d=0.2)"
        )
    return SolverConfig(cell_model=cell_model, **settings)  # type: ignore[arg-type]


def _number(value: float, name: str) -> float:
    return single_number(value, name, TissueError)


def _optional_number(value: float | None, name: str) -> float | None:
    return None if value is None else _number(value, name)


def _pacing(stimuli: Stimulus | Pacing) -> Pacing:
    """Return the stimuli as a tuple, after checking their type."""
    pacing = tuple(stimuli) if np.iterable(stimuli) else (stimuli,)
    if not pacing:
        raise TissueError("stimuli is empty: give at least one stimulus")
    for stimulus in pacing:
        if not isinstance(stimulus, Stimulus):
            raise TissueError(
                f"stimuli holds {stimulus!r}: must be a fwdecg.Stimulus or a list of them; join "
                "trains with +"
            )
    return pacing


def _frames(pacing: Pacing, duration_ms: float, interval_ms: float) -> int:
    """Return the number of frames, after checking the times of frames and stimuli."""
    if not 0 < interval_ms <= MAX_FRAME_INTERVAL_MS:
        raise TissueError(
            f"frame_interval_ms = {interval_ms}: must be above 0 and at most "
            f"{MAX_FRAME_INTERVAL_MS:g}, so that no activation is missed"
        )
    frames = round(duration_ms / interval_ms) if math.isfinite(duration_ms) else 0
    if frames < 2 or not math.isclose(frames * interval_ms, duration_ms, rel_tol=1e-6):
        raise TissueError(
            f"duration_ms = {duration_ms}: must be a multiple of frame_interval_ms = "
            f"{interval_ms:g}, and at least twice it"
        )
    last_ms = (frames - 1) * interval_ms
    for stimulus in pacing:
        if stimulus.start_ms >= last_ms:
            raise TissueError(
                f"a stimulus starts at {stimulus.start_ms:g} ms, after the last frame at "
                f"{last_ms:g} ms; use a longer duration_ms"
            )
    return frames


def _require_memory(frames: int, tissue: Tissue, pixel_mm: float) -> None:
    values = frames * math.prod(tissue.size_mm) / pixel_mm**2
    if values > MOST_MAP_VALUES:
        raise TissueError(
            f"maps of {pixel_mm:g} mm in {frames} frames need {4e-9 * values:.0f} GB; use a larger "
            "map_spacing_mm or frame_interval_ms"
        )


def _discretise(
    tissue: Tissue, solver: SolverConfig, frame_interval_ms: float, frames: int
) -> tuple[Tissue, TimeGrid]:
    """Return the raster and the time steps that the equation is solved with."""
    conducting = tissue.diffusivity_mm2_per_ms[tissue.conducts]
    slowest, fastest = float(conducting.min()), float(conducting.max())
    target = solver.resolution(slowest, fastest)
    cells = math.prod(tissue.size_mm) / target.spacing_mm**2
    if cells > MOST_CELLS:
        raise TissueError(
            f"the smallest D, {slowest:g} mm^2/ms, needs cells of {target.spacing_mm:.2g} mm, "
            f"{cells:.2g} of them: at most {MOST_CELLS:.0g} are possible; set such cells to 0 if "
            "they do not conduct, or raise cv_error"
        )
    raster = tissue.resampled(target.spacing_mm)
    largest_dt_ms = replace(solver, spacing_mm=raster.spacing_mm).resolution(slowest, fastest).dt_ms
    if solver.dt_ms is None and largest_dt_ms < SMALLEST_DT_MS:
        raise TissueError(
            f"D from {slowest:g} to {fastest:g} mm^2/ms needs cells of {raster.spacing_mm:.2g} mm "
            f"and steps of {largest_dt_ms:.2g} ms: at least {SMALLEST_DT_MS:g} ms are possible; "
            "raise the smallest D, lower the largest, or raise cv_error"
        )
    time_grid = solver.time_grid(
        raster, largest_dt_ms, interval_ms=frame_interval_ms, frames=frames
    )
    return raster, time_grid
