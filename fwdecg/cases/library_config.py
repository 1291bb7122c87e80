"""Settings of a library, and the rules that its parts must satisfy together."""

import logging
from dataclasses import dataclass

import numpy as np

from fwdecg.cases.pacing import FOCAL, PLANAR, REENTRY, PacingConfig
from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.cases.solver_config import MAX_CV_ERROR, SolverConfig
from fwdecg.cases.splits import (
    DIFFUSIVITY_SHIFT,
    ELECTRODE_SHIFT,
    PATCH_SIZE_SHIFT,
    SHIFTS,
    STIMULUS_SHIFT,
)
from fwdecg.cases.tissue_config import ELLIPSES, EllipsesConfig, Range, TissueConfig
from fwdecg.config import Configuration, setting
from fwdecg.errors import ConfigError, TissueError
from fwdecg.physics.monodomain import SMALLEST_DT_MS, TimeGrid
from fwdecg.physics.pseudo_ecg import require_clear_of_sheet
from fwdecg.physics.reentry import tail_arrival_ms
from fwdecg.physics.stimulus import FOCAL_RADIUS_MM, PLANAR_WIDTH_MM

logger = logging.getLogger(__name__)

# A build plans all its cases in the memory of the driver, with about 1 kB per case.
MOST_CASES = 1_000_000
MOST_CELLS = 1e8  # about 10 GB of solver state; a case of the paper has up to 2.3e6


@dataclass(frozen=True, kw_only=True)
class LibraryConfig(Configuration):
    """Settings of a library: its size, its seed, and how its cases are drawn and simulated."""

    path: str = setting(
        "", "folder of the library; default: library/ in results.path", identity=False
    )
    cases: int = setting(
        300, "number of cases; a larger number extends the library", identity=False, at_least=1
    )
    seed: int = setting(2025, "seed of all random draws", at_least=0)
    shifts: tuple[str, ...] = setting(
        (),
        "additional test splits, each with one property outside the training distribution: "
        + ", ".join(SHIFTS),
        choices=SHIFTS,
    )
    part_mb: float = setting(128.0, "approximate size of a Parquet file", above=0)
    cases_per_part: int | None = setting(
        None, "number of cases in a Parquet file; overrides part_mb", at_least=1
    )
    case_time_limit_s: float = setting(
        3600.0, "a case that takes longer is quarantined", identity=False, above=0
    )
    tissue: TissueConfig = setting(TissueConfig)
    pacing: PacingConfig = setting(PacingConfig)
    solver: SolverConfig = setting(SolverConfig)
    recording: RecordingConfig = setting(RecordingConfig)

    def __post_init__(self) -> None:
        """Check every value, and the rules that involve several sections."""
        super().__post_init__()
        self._require_plannable_cases()
        self._require_effective_shifts()
        self._require_clear_electrodes()
        self._require_stable_step()
        self._require_resolved_waves()
        self._require_second_stimulus_in_recording()
        self._require_affordable_raster()
        self._require_cells_within_stimulus()

    @property
    def bulk_diffusivity_bounds_mm2_per_ms(self) -> Range:
        """Smallest and largest bulk D that a case can have."""
        ranges = self._bulk_diffusivity_ranges_mm2_per_ms.values()
        return min(low for low, _ in ranges), max(high for _, high in ranges)

    @property
    def diffusivity_bounds_mm2_per_ms(self) -> Range:
        """Smallest and largest D that any point of a case can have."""
        lowest, highest = self.bulk_diffusivity_bounds_mm2_per_ms
        return self.tissue.diffusivity_span(lowest)[0], self.tissue.diffusivity_span(highest)[1]

    @property
    def electrodes_mm(self) -> tuple[tuple[float, float, float], ...]:
        """Positions (x, y, z) of all electrodes, without the shift."""
        electrodes = self.recording.electrodes(self.tissue.size_mm).tolist()
        return tuple((x_mm, y_mm, z_mm) for x_mm, y_mm, z_mm in electrodes)

    @property
    def map_spacing_mm(self) -> float:
        """Side of a map's pixel."""
        return self.tissue.size_mm / self.recording.map_pixels

    @property
    def part_cases(self) -> int:
        """Number of cases in a Parquet file."""
        if self.cases_per_part is not None:
            return self.cases_per_part
        return max(int(self.part_mb * 1e6 / self.recording.stored_bytes), 1)

    @property
    def _bulk_diffusivity_ranges_mm2_per_ms(self) -> dict[str, Range]:
        """Ranges of the bulk D of the cases, by the name of their key."""
        names = ["healthy_diffusivity_mm2_per_ms", "remodelled_diffusivity_mm2_per_ms"]
        if DIFFUSIVITY_SHIFT in self.shifts:
            names.append("shifted_diffusivity_mm2_per_ms")
        return {name: getattr(self.tissue, name) for name in names}

    def _spacing_mm(self, bulk_diffusivity_mm2_per_ms: float) -> float:
        """Return the side of a cell of the cases with this bulk D, at most that of the sheet."""
        span = self.tissue.diffusivity_span(bulk_diffusivity_mm2_per_ms)
        return min(self.solver.resolution(*span).spacing_mm, self.tissue.size_mm)

    def _require_plannable_cases(self) -> None:
        if self.cases > MOST_CASES:
            raise ConfigError(
                f"cases = {self.cases}: must be at most {MOST_CASES}; lower it, or build several "
                "libraries that differ in seed"
            )

    def _require_affordable_raster(self) -> None:
        """Check that the smallest D of every range leaves a number of cells that fits in memory."""
        for name, (lowest, _) in self._bulk_diffusivity_ranges_mm2_per_ms.items():
            spacing_mm = self._spacing_mm(lowest)
            cells = (self.tissue.size_mm / spacing_mm) * (self.tissue.size_mm / spacing_mm)
            if cells > MOST_CELLS:
                raise ConfigError(
                    f"tissue.{name}: D = {lowest:g} mm^2/ms on a sheet of "
                    f"{self.tissue.size_mm:g} mm needs {cells:.2g} cells of {spacing_mm:.2g} mm: "
                    f"must be at most {MOST_CELLS:g}; raise D, or lower tissue.size_mm"
                )

    def _require_cells_within_stimulus(self) -> None:
        """Check that no cell is wider than the stimulus, which would then excite no cell at all."""
        stimulus_mm = FOCAL_RADIUS_MM if self.pacing.protocol == FOCAL else PLANAR_WIDTH_MM
        for name, (_, highest) in self._bulk_diffusivity_ranges_mm2_per_ms.items():
            spacing_mm = self._spacing_mm(highest)
            if spacing_mm > stimulus_mm:
                raise ConfigError(
                    f"tissue.{name}: at D = {highest:g} mm^2/ms cells of {spacing_mm:.2g} mm are "
                    f"wider than the stimulus of {stimulus_mm:g} mm; lower D (1 mm^2/s is 0.001 "
                    "mm^2/ms), solver.spacing_mm or solver.cv_error"
                )

    def _require_effective_shifts(self) -> None:
        """Check that each shift is named once and leaves the training distribution."""
        tissue = self.tissue
        if len(set(self.shifts)) < len(self.shifts):
            raise ConfigError(f"shifts = {list(self.shifts)}: name each shift once")
        if DIFFUSIVITY_SHIFT in self.shifts:
            for regular in ("healthy_diffusivity_mm2_per_ms", "remodelled_diffusivity_mm2_per_ms"):
                _require_disjoint(tissue, "shifted_diffusivity_mm2_per_ms", regular)
        if PATCH_SIZE_SHIFT in self.shifts:
            if tissue.texture == ELLIPSES:
                _require_disjoint(tissue.ellipses, "shifted_half_axis_mm", "large_half_axis_mm")
            else:
                _require_disjoint(tissue, "shifted_patch_size_mm", "large_patch_size_mm")
        if STIMULUS_SHIFT in self.shifts and self.pacing.protocol != PLANAR:
            raise ConfigError(
                f"shifts = {list(self.shifts)}: the shift stimulus needs a plane wave, but "
                f'pacing.protocol = "{self.pacing.protocol}"; remove the shift, or choose "planar"'
            )
        if ELECTRODE_SHIFT in self.shifts and not any(self.recording.electrode_shift_mm):
            raise ConfigError(
                f"recording.electrode_shift_mm = {list(self.recording.electrode_shift_mm)}: must "
                "not be zero; change it, or remove the shift electrode"
            )

    def _require_clear_electrodes(self) -> None:
        """Check that every electrode keeps the minimum distance from the sheet."""
        recording, size_mm = self.recording, self.tissue.size_mm
        regular = "electrode_grid_height_mm" if recording.electrode_grid else "electrodes_mm"
        electrodes_of_key = {regular: recording.electrodes(size_mm)}
        if ELECTRODE_SHIFT in self.shifts:
            electrodes_of_key["electrode_shift_mm"] = recording.electrodes(size_mm, shifted=True)
        for key, electrodes in electrodes_of_key.items():
            for electrode in electrodes:
                try:
                    require_clear_of_sheet(electrode, np.full(2, size_mm))
                except TissueError as error:
                    raise ConfigError(f"recording.{key}: {error}") from error

    def _require_stable_step(self) -> None:
        for bulk in self.bulk_diffusivity_bounds_mm2_per_ms:
            slowest, fastest = self.tissue.diffusivity_span(bulk)
            spacing_mm, dt_ms = self.solver.resolution(slowest, fastest)
            largest_dt_ms = self.solver.stable_dt_ms(spacing_mm, fastest)
            if dt_ms < SMALLEST_DT_MS:
                raise ConfigError(
                    f"solver: cells of {spacing_mm:.3g} mm need time steps of {dt_ms:.2g} ms, but "
                    f"the minimum is {SMALLEST_DT_MS:g} ms; raise solver.spacing_mm or solver.dt_ms"
                )
            self._require_steps_between_frames(dt_ms)
            if dt_ms > largest_dt_ms:
                raise ConfigError(
                    f"solver.dt_ms = {dt_ms:g}: must be at most {largest_dt_ms:.3g} for cells of "
                    f"{spacing_mm:.3g} mm at D = {fastest:g} mm^2/ms; lower it, or raise "
                    "solver.spacing_mm"
                )

    def _require_steps_between_frames(self, largest_dt_ms: float) -> None:
        recording = self.recording
        try:
            TimeGrid(
                frame_interval_ms=recording.frame_interval_ms,
                frames=recording.frames,
                largest_dt_ms=largest_dt_ms,
            )
        except TissueError as error:
            raise ConfigError(f"recording.frame_interval_ms: {error}") from error

    def _require_resolved_waves(self) -> None:
        slowest, _ = self.diffusivity_bounds_mm2_per_ms
        error = self.solver.expected_cv_error(slowest)
        if error > MAX_CV_ERROR * (1 + 1e-9):
            raise ConfigError(
                f"solver: at D = {slowest:g} mm^2/ms its spacing and time step do not resolve a "
                f"wave (expected CV error {error:.0%}); lower solver.spacing_mm"
            )

    def _require_second_stimulus_in_recording(self) -> None:
        if self.pacing.protocol != REENTRY:
            return
        slowest, _ = self.bulk_diffusivity_bounds_mm2_per_ms
        tail_mm = self.pacing.tail_position[1] * self.tissue.size_mm / 2
        latest_ms = tail_arrival_ms(tail_mm, slowest, self.solver.parameters)
        if latest_ms >= self.recording.duration_ms:
            raise ConfigError(
                f"recording.duration_ms = {self.recording.duration_ms:g}: must be above "
                f"{latest_ms:.4g} ms, when the second stimulus of a re-entry starts at "
                f"D = {slowest:g} mm^2/ms; raise it, or lower pacing.tail_position"
            )


def warn_if_resolution_is_fixed(config: LibraryConfig) -> None:
    """Log the expected error of the conduction velocity if spacing or time step is fixed."""
    if config.solver.spacing_mm is not None or config.solver.dt_ms is not None:
        slowest, _ = config.diffusivity_bounds_mm2_per_ms
        logger.warning(
            "library.solver.spacing_mm or dt_ms is fixed: expect errors of the conduction velocity "
            "of up to %.2g %% (at D = %g mm^2/ms); remove both to meet library.solver.cv_error",
            100 * config.solver.expected_cv_error(slowest),
            slowest,
        )


def _require_disjoint(config: TissueConfig | EllipsesConfig, shifted: str, regular: str) -> None:
    (low, high), (regular_low, regular_high) = getattr(config, shifted), getattr(config, regular)
    if low <= regular_high and regular_low <= high:
        section = "tissue.ellipses" if isinstance(config, EllipsesConfig) else "tissue"
        raise ConfigError(
            f"{section}.{shifted} = {[low, high]}: must not overlap {section}.{regular} = "
            f"{[regular_low, regular_high]}; choose a range above or below it"
        )
