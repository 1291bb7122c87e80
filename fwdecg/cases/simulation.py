"""Simulate one case: voltage maps, ECG, and the checks that decide whether it is usable."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float16, Float32

from fwdecg.cases.draw import Case, CaseSpec
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.errors import CaseError
from fwdecg.physics.markers import ACTIVATION_LEVEL
from fwdecg.physics.monodomain import Simulation, TimeGrid
from fwdecg.physics.pseudo_ecg import FRAMES_AT_ONCE, lead_fields, pseudo_ecg
from fwdecg.physics.raster import area_mean
from fwdecg.physics.resolution import Resolution, cv_error
from fwdecg.physics.tissue import Tissue
from fwdecg.shapes import Electrodes, Mask

REPOLARISED_LEVEL = 0.1  # cells above this u in the last frame are counted as still active


@dataclass(frozen=True, kw_only=True)
class CaseRecord:
    """A simulated case: one row of a library; `library.schema` explains the fields."""

    spec: CaseSpec
    u: Float16[np.ndarray, "frame row col"]
    phi_e: Float32[np.ndarray, "electrode frame"]
    diffusivity_mm2_per_ms: Float32[np.ndarray, "row col"]
    conducting_fraction: Float32[np.ndarray, "row col"]
    electrodes_mm: Electrodes
    solver_spacing_mm: float
    solver_dt_ms: float
    cv_error_estimate: float
    activated_fraction: float
    active_fraction_at_end: float
    node_updates: int


@dataclass(frozen=True, kw_only=True)
class DiscretisedCase:
    """A case on the solver's raster, and the fields of its record that need no simulation.

    Attributes:
        tissue: raster that the equation is solved on.
        time_grid: time step and frames.
        diffusivity_mm2_per_ms: area mean of D in each pixel of the maps.
        conducting_fraction: conducting fraction of each pixel's area.
        cv_error_estimate: expected relative error of the conduction velocity.
    """

    tissue: Tissue
    time_grid: TimeGrid
    diffusivity_mm2_per_ms: Float32[np.ndarray, "row col"]
    conducting_fraction: Float32[np.ndarray, "row col"]
    cv_error_estimate: float


def discretise_case(case: Case, config: LibraryConfig) -> DiscretisedCase:
    """Discretise a case at the resolution that its smallest diffusivity requires."""
    recording, solver = config.recording, config.solver
    slowest, fastest = case.sheet.diffusivity_bounds_mm2_per_ms
    target = solver.resolution(slowest, fastest)
    tissue = case.sheet.rasterise(target.spacing_mm)
    time_grid = solver.time_grid(
        tissue, target.dt_ms, interval_ms=recording.frame_interval_ms, frames=recording.frames
    )
    used = Resolution(spacing_mm=tissue.spacing_mm, dt_ms=time_grid.dt_ms)
    diffusivity = area_mean(tissue.diffusivity_mm2_per_ms, recording.map_pixels)
    conducting = area_mean(tissue.conducts.astype(float), recording.map_pixels)
    return DiscretisedCase(
        tissue=tissue,
        time_grid=time_grid,
        diffusivity_mm2_per_ms=diffusivity.astype(np.float32),
        conducting_fraction=conducting.astype(np.float32),
        cv_error_estimate=cv_error(used, slowest, solver.parameters, plain=solver.plain),
    )


def simulate_case(case: Case, config: LibraryConfig) -> CaseRecord:
    """Simulate a case and return its record.

    Raises:
        CaseError: the voltage is not finite, too little of the tissue activates, or the simulation
            exceeds the time limit.
    """
    record = _simulate(case, discretise_case(case, config), config)
    if not (np.isfinite(record.u).all() and np.isfinite(record.phi_e).all()):
        raise CaseError("a map or the ECG contains a value that is not finite")
    least = config.recording.least_activated_fraction
    if record.activated_fraction < least:
        raise CaseError(
            f"only {record.activated_fraction:.1%} of the conducting tissue activates, less than "
            f"recording.least_activated_fraction = {least:g}"
        )
    return record


def _simulate(case: Case, discretised: DiscretisedCase, config: LibraryConfig) -> CaseRecord:
    tissue, time_grid, solver = discretised.tissue, discretised.time_grid, config.solver
    pixels = config.recording.map_pixels
    u = np.empty((time_grid.frames, pixels, pixels), dtype=np.float16)
    simulation = Simulation(
        tissue, case.pacing, time_grid, solver.parameters, solver.discretisation
    )
    deadline = time.monotonic() + config.case_time_limit_s
    recorder = Recorder(tissue, case.electrodes_mm, time_grid.frames)
    for frames, voltage in recorder.watch(simulation):
        u[frames] = area_mean(voltage, pixels)
        if time.monotonic() > deadline:
            raise CaseError(
                f"the simulation exceeds library.case_time_limit_s = {config.case_time_limit_s:g}; "
                "raise it, or build another library with a larger library.solver.cv_error"
            )
    return CaseRecord(
        spec=case.spec,
        u=u,
        phi_e=recorder.phi_e,
        diffusivity_mm2_per_ms=discretised.diffusivity_mm2_per_ms,
        conducting_fraction=discretised.conducting_fraction,
        electrodes_mm=case.electrodes_mm,
        solver_spacing_mm=tissue.spacing_mm,
        solver_dt_ms=time_grid.dt_ms,
        cv_error_estimate=discretised.cv_error_estimate,
        activated_fraction=recorder.activated_fraction,
        active_fraction_at_end=recorder.active_fraction_at_end,
        node_updates=simulation.node_updates,
    )


class Recorder:
    """The ECG and the activated tissue of one simulation, recorded at the solver's resolution."""

    def __init__(self, tissue: Tissue, electrodes_mm: Electrodes, frames: int) -> None:
        """Compute the lead fields.

        Raises:
            TissueError: an electrode is too close to the sheet.
        """
        self._tissue = tissue
        self._leads = lead_fields(tissue, electrodes_mm, np.float32)
        self._activated = np.zeros_like(tissue.conducts)
        self._active_at_end = self._activated
        self.phi_e = np.empty((len(electrodes_mm), frames), dtype=np.float32)

    def watch(
        self, simulation: Simulation
    ) -> Iterator[tuple[slice, Float32[np.ndarray, "frame row col"]]]:
        """Record a simulation; yield the numbers of some frames, and u in these frames."""
        first = 0
        for voltage in simulation.stacks(FRAMES_AT_ONCE):
            frames = slice(first, first + len(voltage))
            self.phi_e[:, frames] = pseudo_ecg(voltage, self._leads)
            self._activated |= voltage.max(axis=0) > ACTIVATION_LEVEL
            self._active_at_end = voltage[-1] > REPOLARISED_LEVEL
            yield frames, voltage
            first = frames.stop

    @property
    def activated_fraction(self) -> float:
        """Fraction of the conducting tissue that has activated."""
        return _fraction_of_tissue(self._activated, self._tissue)

    @property
    def active_fraction_at_end(self) -> float:
        """Fraction of the conducting tissue that is not at rest in the last frame."""
        return _fraction_of_tissue(self._active_at_end, self._tissue)


def _fraction_of_tissue(cells: Mask, tissue: Tissue) -> float:
    return float(cells.sum() / tissue.conducts.sum())
