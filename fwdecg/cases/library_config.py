"""The configuration of a library: what is simulated, how finely, and what is recorded."""

import logging
import math
from dataclasses import dataclass

import numpy as np

from fwdecg.cases.shifts import DIFFUSIVITY, ELECTRODE, PATCH_SIZE, SHIFTS, STIMULUS
from fwdecg.cases.solver_config import COARSEST, SolverConfig
from fwdecg.config import check_settings, setting
from fwdecg.errors import ConfigError, TissueError
from fwdecg.physics.monodomain import SMALLEST_DT_MS, Clock
from fwdecg.physics.pseudo_ecg import require_clear_of_sheet
from fwdecg.physics.raster import cell_centres_mm
from fwdecg.physics.reentry import tail_arrival_ms
from fwdecg.shapes import Electrodes

logger = logging.getLogger(__name__)

Range = tuple[float, float]

# A wave into tissue at rest keeps u above the level that counts as activated for 62 ms or more, in
# all published cell models (shortest in FK-CAF, next to patches): some frame shows every such cell.
LONGEST_FRAME_INTERVAL_MS = 50.0

# Size in a file of a case with one electrode, in units of its maps' in memory; as measured on the
# paper's. ECGs hardly compress: what they take goes from 58 to 97 % of their size.
COMPRESSED_SHARE = 0.3

# The noise that patches are made of is as fine as they are: with patches of this size over 40 % of
# a sheet of 100 mm it takes 2 GB and 10 s a case, with smaller ones more as the square.
SMALLEST_PATCH_MM = 0.1


@dataclass(frozen=True, kw_only=True)
class TissueConfig:
    """The sheet and the ranges its properties are drawn from, uniformly."""

    size_mm: float = setting(100.0, "side of the square sheet", above=0)
    healthy_diffusivity_mm2_per_ms: Range = setting(
        (0.09, 0.10), "range of D, healthy and fibrosis", above=0
    )
    remodelled_diffusivity_mm2_per_ms: Range = setting(
        (0.01, 0.09), "range of D, gap_junction and combined", above=0
    )
    small_patch_size_mm: Range = setting(
        (1.0, 3.0), "mean size of a patch, healthy", at_least=SMALLEST_PATCH_MM
    )
    small_patch_fraction: Range = setting(
        (0.0, 0.05), "share of the area that does not conduct, healthy", at_least=0, below=0.5
    )
    large_patch_size_mm: Range = setting(
        (5.0, 15.0), "mean size of a patch, fibrosis and combined", at_least=SMALLEST_PATCH_MM
    )
    large_patch_fraction: Range = setting(
        (0.10, 0.40),
        "share of the area that does not conduct, fibrosis and combined",
        above=0,
        below=0.5,
    )
    shifted_diffusivity_mm2_per_ms: Range = setting(
        (0.11, 0.15), "range of D in the test split of the shift diffusivity", above=0
    )
    shifted_patch_size_mm: Range = setting(
        (18.0, 25.0),
        "mean size of a large patch in that of the shift patch_size",
        at_least=SMALLEST_PATCH_MM,
    )
    diffusivity_variation: float = setting(
        0.0,
        "largest relative departure of D from its bulk value inside a tissue, 0 = uniform",
        at_least=0,
        below=1,
    )
    diffusivity_variation_length_mm: float = setting(
        10.0, "distance over which the correlation of that departure falls to 1/e", at_least=1
    )

    def __post_init__(self) -> None:
        """Check each value, and that each range runs upwards."""
        check_settings(self)
        for name, value in vars(self).items():
            if isinstance(value, tuple):
                _require_upwards(name, value)

    def diffusivity_span(self, bulk_mm2_per_ms: float) -> Range:
        """Smallest and largest D in mm^2/ms inside a tissue of a bulk D."""
        variation = self.diffusivity_variation
        return bulk_mm2_per_ms * (1 - variation), bulk_mm2_per_ms * (1 + variation)


@dataclass(frozen=True, kw_only=True)
class PacingConfig:
    """Where the tissue is stimulated."""

    protocol: str = setting(
        "planar",
        "planar: from the left edge; focal: at a random site; reentry: planar, then the lower left "
        "quarter in the wave's wake, so that a spiral forms",
        choices=("planar", "focal", "reentry"),
    )
    tail_position: Range = setting(
        (0.5, 0.7),
        "reentry: how far through that quarter the wave's tail is when it is stimulated, as a "
        "share of its width",
        above=0,
        below=1,
    )

    def __post_init__(self) -> None:
        """Check the choice and the range."""
        check_settings(self)
        _require_upwards("tail_position", self.tail_position)


@dataclass(frozen=True, kw_only=True)
class RecordingConfig:
    """What is kept of a simulation."""

    duration_ms: float = setting(800.0, "length of the record, whole frame intervals", above=0)
    frame_interval_ms: float = setting(
        5.0,
        "time between frames of maps and ECG; shorter than an action potential, so that none is "
        "missed",
        above=0,
        at_most=LONGEST_FRAME_INTERVAL_MS,
    )
    map_pixels: int = setting(64, "rows and columns of a voltage map", at_least=8)
    electrodes_mm: tuple[tuple[float, float, float], ...] = setting(
        ((50.0, 50.0, 40.0),), "x, y, z of each electrode from the top-left corner, in mm"
    )
    electrode_grid: tuple[int, int] | None = setting(
        None,
        "rows and columns of electrodes evenly spread above the sheet, instead of that list",
        at_least=1,
        at_most=100,
    )
    electrode_grid_height_mm: float = setting(40.0, "z of the electrodes of the grid", above=0)
    electrode_shift_mm: tuple[float, float, float] = setting(
        (15.0, 15.0, 0.0),
        "x, y, z by which each electrode is displaced in the test split of the shift electrode",
    )
    least_activated_fraction: float = setting(
        0.5,
        "a case in which less of the conducting tissue activates is quarantined",
        at_least=0,
        at_most=1,
    )

    def __post_init__(self) -> None:
        """Check each value, and that frames and electrodes make sense."""
        check_settings(self)
        if not self.electrodes_mm:
            raise ConfigError("electrodes_mm = []: give at least one electrode")
        whole = math.isclose(self.frames * self.frame_interval_ms, self.duration_ms)
        if self.frames < 2 or not whole:
            raise ConfigError(
                f"duration_ms = {self.duration_ms:g}: must be two or more whole frame intervals of "
                f"{self.frame_interval_ms:g} ms"
            )

    @property
    def frames(self) -> int:
        """Number of frames; the first is the resting tissue at t = 0, none is at the very end."""
        return round(self.duration_ms / self.frame_interval_ms)

    @property
    def map_bytes(self) -> int:
        """Size of a case's maps in memory."""
        return self.frames * self.map_pixels**2 * np.dtype(np.float16).itemsize

    @property
    def stored_bytes(self) -> float:
        """Size of a case in a file, about; of its ECGs all but the first are counted apart."""
        further_ecgs = (self.electrode_count - 1) * self.frames * np.dtype(np.float32).itemsize
        return COMPRESSED_SHARE * self.map_bytes + further_ecgs

    @property
    def electrode_count(self) -> int:
        """Number of electrodes."""
        return math.prod(self.electrode_grid) if self.electrode_grid else len(self.electrodes_mm)

    def electrodes(self, size_mm: float, *, shifted: bool = False) -> Electrodes:
        """Electrode positions in mm; those of a grid row by row from the top.

        Args:
            size_mm: side of the sheet; an electrode of a grid is above the middle of its share.
            shifted: whether they are displaced.
        """
        if self.electrode_grid is None:
            placed = np.array(self.electrodes_mm, dtype=np.float64)
        else:
            placed = self._grid(*self.electrode_grid, size_mm=size_mm)
        return placed + self.electrode_shift_mm if shifted else placed

    def _grid(self, rows: int, cols: int, *, size_mm: float) -> Electrodes:
        y_mm, x_mm = np.meshgrid(
            cell_centres_mm(rows, size_mm / rows),
            cell_centres_mm(cols, size_mm / cols),
            indexing="ij",
        )
        z_mm = np.full(rows * cols, self.electrode_grid_height_mm)
        return np.stack([x_mm.ravel(), y_mm.ravel(), z_mm], axis=1)


@dataclass(frozen=True, kw_only=True)
class LibraryConfig:
    """A library: how many cases, drawn from which seed, of which tissue."""

    path: str = setting(
        "", "folder of the library; default: library/ in results.path", identity=False
    )
    cases: int = setting(300, "number of cases; a larger one extends", identity=False, at_least=1)
    seed: int = setting(2025, "seed of every random draw", at_least=0)
    shifts: tuple[str, ...] = setting(
        (),
        "test splits beside the regular ones, each with one thing unlike training: "
        + ", ".join(SHIFTS),
        choices=SHIFTS,
    )
    part_mb: float = setting(128.0, "size of a Parquet file, about", above=0)
    cases_per_part: int | None = setting(
        None, "cases in one Parquet file instead of part_mb", at_least=1
    )
    case_time_limit_s: float = setting(
        3600.0, "a case that takes longer is quarantined", identity=False, above=0
    )
    tissue: TissueConfig = setting(TissueConfig)
    pacing: PacingConfig = setting(PacingConfig)
    solver: SolverConfig = setting(SolverConfig)
    recording: RecordingConfig = setting(RecordingConfig)

    def __post_init__(self) -> None:
        """Check each value, that no electrode touches the sheet, and that waves are resolved."""
        check_settings(self)
        self._require_true_shifts()
        self._require_clear_electrodes()
        self._require_stable_step()
        self._require_some_accuracy()
        self._require_second_stimulus_in_record()

    @property
    def bulk_diffusivity_bounds_mm2_per_ms(self) -> Range:
        """Smallest and largest bulk D that any case can have."""
        tissue = self.tissue
        values = [*tissue.healthy_diffusivity_mm2_per_ms, *tissue.remodelled_diffusivity_mm2_per_ms]
        if DIFFUSIVITY in self.shifts:
            values += tissue.shifted_diffusivity_mm2_per_ms
        return min(values), max(values)

    @property
    def diffusivity_bounds_mm2_per_ms(self) -> Range:
        """Smallest and largest D that any point of any case can have."""
        lowest, highest = self.bulk_diffusivity_bounds_mm2_per_ms
        return self.tissue.diffusivity_span(lowest)[0], self.tissue.diffusivity_span(highest)[1]

    @property
    def electrodes_mm(self) -> tuple[tuple[float, float, float], ...]:
        """Position of each electrode, listed or of the grid, where it is not shifted."""
        electrodes = self.recording.electrodes(self.tissue.size_mm).tolist()
        return tuple((x_mm, y_mm, z_mm) for x_mm, y_mm, z_mm in electrodes)

    @property
    def map_spacing_mm(self) -> float:
        """Side of a map's pixel."""
        return self.tissue.size_mm / self.recording.map_pixels

    @property
    def part_cases(self) -> int:
        """Cases in one Parquet file."""
        if self.cases_per_part is not None:
            return self.cases_per_part
        return max(int(self.part_mb * 1e6 / self.recording.stored_bytes), 1)

    def _require_clear_electrodes(self) -> None:
        grid = self.recording.electrode_grid
        self._require_clear("electrode_grid_height_mm" if grid else "electrodes_mm", shifted=False)
        if ELECTRODE in self.shifts:
            self._require_clear("electrode_shift_mm", shifted=True)

    def _require_clear(self, key: str, *, shifted: bool) -> None:
        size_mm = self.tissue.size_mm
        for electrode in self.recording.electrodes(size_mm, shifted=shifted):
            try:
                require_clear_of_sheet(electrode, np.full(2, size_mm))
            except TissueError as error:
                raise ConfigError(f"recording.{key}: {error}") from error

    def _require_true_shifts(self) -> None:
        """Each shift once, and none that leaves a case as training may see it."""
        tissue = self.tissue
        if len(set(self.shifts)) < len(self.shifts):
            raise ConfigError(f"shifts = {list(self.shifts)}: name each shift once")
        if DIFFUSIVITY in self.shifts:
            for regular in ("healthy_diffusivity_mm2_per_ms", "remodelled_diffusivity_mm2_per_ms"):
                _require_apart(tissue, "shifted_diffusivity_mm2_per_ms", regular)
        if PATCH_SIZE in self.shifts:
            _require_apart(tissue, "shifted_patch_size_mm", "large_patch_size_mm")
        if STIMULUS in self.shifts and self.pacing.protocol != "planar":
            raise ConfigError(
                f"shifts = {list(self.shifts)}: the shift stimulus turns a plane wave, but "
                f'pacing.protocol = "{self.pacing.protocol}"; leave it out, or pace with "planar"'
            )
        if ELECTRODE in self.shifts and not any(self.recording.electrode_shift_mm):
            raise ConfigError(
                f"recording.electrode_shift_mm = {list(self.recording.electrode_shift_mm)}: must "
                "displace the electrodes; change it, or leave the shift electrode out"
            )

    def _require_some_accuracy(self) -> None:
        slowest, _ = self.diffusivity_bounds_mm2_per_ms
        error = self.solver.expected_cv_error(slowest)
        if error > COARSEST * (1 + 1e-9):
            raise ConfigError(
                f"solver: at D = {slowest:g} mm^2/ms its spacing and step do not resolve a wave "
                f"(expected CV error {error:.0%}); lower solver.spacing_mm"
            )

    def _require_stable_step(self) -> None:
        for bulk in self.bulk_diffusivity_bounds_mm2_per_ms:
            slowest, fastest = self.tissue.diffusivity_span(bulk)
            spacing_mm, dt_ms = self.solver.resolution(slowest, fastest)
            largest_dt_ms = self.solver.stable_dt_ms(spacing_mm, fastest)
            if dt_ms < SMALLEST_DT_MS:
                raise ConfigError(
                    f"solver: cells of {spacing_mm:.3g} mm need steps of {dt_ms:.2g} ms, below the "
                    f"least of {SMALLEST_DT_MS:g} ms; raise solver.spacing_mm or solver.dt_ms"
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
            Clock(
                frame_interval_ms=recording.frame_interval_ms,
                frames=recording.frames,
                largest_dt_ms=largest_dt_ms,
            )
        except TissueError as error:
            raise ConfigError(f"recording.frame_interval_ms: {error}") from error

    def _require_second_stimulus_in_record(self) -> None:
        if self.pacing.protocol != "reentry":
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


def warn_of_fixed_resolution(config: LibraryConfig) -> None:
    """Name the error of the conduction velocity to expect of a fixed spacing or step."""
    if config.solver.fixed:
        slowest, _ = config.diffusivity_bounds_mm2_per_ms
        logger.warning(
            "library.solver.spacing_mm or dt_ms is fixed: expect conduction velocities up to "
            "%.2g %% off (at D = %g mm^2/ms); leave them out to meet library.solver.cv_error",
            100 * config.solver.expected_cv_error(slowest),
            slowest,
        )


def _require_apart(tissue: TissueConfig, shifted: str, regular: str) -> None:
    (low, high), (regular_low, regular_high) = getattr(tissue, shifted), getattr(tissue, regular)
    if low <= regular_high and regular_low <= high:
        raise ConfigError(
            f"tissue.{shifted} = {[low, high]}: must not overlap tissue.{regular} = "
            f"{[regular_low, regular_high]}; move it above or below"
        )


def _require_upwards(name: str, bounds: Range) -> None:
    if bounds[0] > bounds[1]:
        raise ConfigError(f"{name} = {bounds}: a range must run from low to high")
