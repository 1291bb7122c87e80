"""The configuration of a library: what is simulated, how finely, and what is recorded."""

import math
from dataclasses import dataclass

import numpy as np

from fwdecg.config import check_settings, setting
from fwdecg.errors import ConfigError, TissueError
from fwdecg.physics.fenton_karma import PUBLISHED, Parameters
from fwdecg.physics.monodomain import SMALLEST_DT_MS, Scheme
from fwdecg.physics.pseudo_ecg import require_clear_of_sheet
from fwdecg.physics.resolution import (
    Resolution,
    calibrated_dt_ms,
    cv_error,
    resolution_for,
    stable_dt_ms,
)
from fwdecg.shapes import Electrodes

Range = tuple[float, float]

COARSEST = 0.3  # expected error of the conduction velocity beyond which no wave is resolved
COMPRESSED_SHARE = 0.3  # of the maps' size in memory, in a file; as measured on the paper's
STABILITY_MARGIN = 0.9  # of the largest stable step, where the spacing is the user's


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
    small_patch_size_mm: Range = setting((1.0, 3.0), "mean size of a patch, healthy", above=0)
    small_patch_fraction: Range = setting(
        (0.0, 0.05), "share of the area that does not conduct, healthy", at_least=0, below=0.5
    )
    large_patch_size_mm: Range = setting(
        (5.0, 15.0), "mean size of a patch, fibrosis and combined", above=0
    )
    large_patch_fraction: Range = setting(
        (0.10, 0.40),
        "share of the area that does not conduct, fibrosis and combined",
        above=0,
        below=0.5,
    )

    def __post_init__(self) -> None:
        """Check each value, and that each range runs upwards."""
        check_settings(self)
        for name, value in vars(self).items():
            if isinstance(value, tuple) and value[0] > value[1]:
                raise ConfigError(f"{name} = {value}: a range must run from low to high")

    @property
    def diffusivity_bounds_mm2_per_ms(self) -> Range:
        """Smallest and largest D that any case can have."""
        values = (*self.healthy_diffusivity_mm2_per_ms, *self.remodelled_diffusivity_mm2_per_ms)
        return min(values), max(values)


@dataclass(frozen=True, kw_only=True)
class PacingConfig:
    """Where the tissue is stimulated."""

    protocol: str = setting(
        "planar",
        "planar: from the left edge; focal: at a random site",
        choices=("planar", "focal"),
    )

    def __post_init__(self) -> None:
        """Check the choice."""
        check_settings(self)


@dataclass(frozen=True, kw_only=True)
class SolverConfig:
    """The cell model and how finely the equation is solved."""

    cell_model: str = setting(
        "FK-CAF", f"parameter set, one of {', '.join(PUBLISHED)}", choices=tuple(PUBLISHED)
    )
    scheme: str = setting(
        "calibrated",
        "calibrated: right velocity on coarse cells; plain: explicit Euler, five points",
        choices=("calibrated", "plain"),
    )
    skip_rest: bool = setting(True, "leave tissue at rest out of the steps")
    cv_error: float = setting(
        0.025,
        "target of the relative error of the conduction velocity; sets spacing and step",
        above=0,
        at_most=COARSEST,
    )
    spacing_mm: float | None = setting(
        None, "fixed side of a cell instead of the target's", above=0
    )
    dt_ms: float | None = setting(None, "fixed step instead of the target's", above=0)

    def __post_init__(self) -> None:
        """Check each value."""
        check_settings(self)

    @property
    def parameters(self) -> Parameters:
        """The published parameter set."""
        return PUBLISHED[self.cell_model]

    @property
    def plain(self) -> bool:
        """Whether the scheme is the plain one."""
        return self.scheme == "plain"

    @property
    def discretisation(self) -> Scheme:
        """The scheme as the solver takes it."""
        return Scheme(plain=self.plain, skip_rest=self.skip_rest)

    @property
    def fixed(self) -> bool:
        """Whether spacing or step are the user's instead of the target's."""
        return self.spacing_mm is not None or self.dt_ms is not None

    def resolution(self, diffusivity_mm2_per_ms: float) -> Resolution:
        """Spacing and step for a tissue of this diffusivity."""
        aimed = resolution_for(
            self.cv_error, diffusivity_mm2_per_ms, self.parameters, plain=self.plain
        )
        spacing_mm = self.spacing_mm or aimed.spacing_mm
        dt_ms = self.dt_ms or min(
            self._dt_ms(spacing_mm, diffusivity_mm2_per_ms, aimed),
            STABILITY_MARGIN * self.stable_dt_ms(spacing_mm, diffusivity_mm2_per_ms),
        )
        return Resolution(spacing_mm=spacing_mm, dt_ms=dt_ms)

    def _dt_ms(self, spacing_mm: float, diffusivity_mm2_per_ms: float, aimed: Resolution) -> float:
        """The scheme's own step: the plain one's goes with the target, the other's with a cell."""
        if self.plain:
            return aimed.dt_ms
        return calibrated_dt_ms(spacing_mm, diffusivity_mm2_per_ms, self.parameters)

    def stable_dt_ms(self, spacing_mm: float, diffusivity_mm2_per_ms: float) -> float:
        """Largest stable step on cells of `spacing_mm`."""
        return stable_dt_ms(spacing_mm, diffusivity_mm2_per_ms, self.parameters, plain=self.plain)

    def expected_cv_error(self, diffusivity_mm2_per_ms: float) -> float:
        """Expected relative error of the conduction velocity at that resolution."""
        resolution = self.resolution(diffusivity_mm2_per_ms)
        return cv_error(resolution, diffusivity_mm2_per_ms, self.parameters, plain=self.plain)


@dataclass(frozen=True, kw_only=True)
class RecordingConfig:
    """What is kept of a simulation."""

    duration_ms: float = setting(800.0, "length of the record, whole frame intervals", above=0)
    frame_interval_ms: float = setting(5.0, "time between frames of maps and ECG", above=0)
    map_pixels: int = setting(64, "rows and columns of a voltage map", at_least=8)
    electrodes_mm: tuple[tuple[float, float, float], ...] = setting(
        ((50.0, 50.0, 40.0),), "x, y, z of each electrode from the top-left corner, in mm"
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
        """Size of a case's maps in memory; all else of a case is small beside them."""
        return self.frames * self.map_pixels**2 * np.dtype(np.float16).itemsize

    @property
    def electrodes(self) -> Electrodes:
        """Electrode positions, (electrode, 3) in mm."""
        return np.array(self.electrodes_mm, dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class LibraryConfig:
    """A library: how many cases, drawn from which seed, of which tissue."""

    path: str = setting(
        "", "folder of the library; default: library/ in results.path", identity=False
    )
    cases: int = setting(300, "number of cases; a larger one extends", identity=False, at_least=1)
    seed: int = setting(2025, "seed of every random draw", at_least=0)
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
        self._require_clear_electrodes()
        self._require_stable_step()
        self._require_some_accuracy()

    @property
    def part_cases(self) -> int:
        """Cases in one Parquet file."""
        if self.cases_per_part is not None:
            return self.cases_per_part
        return max(int(self.part_mb * 1e6 / (COMPRESSED_SHARE * self.recording.map_bytes)), 1)

    def _require_clear_electrodes(self) -> None:
        size_mm = np.full(2, self.tissue.size_mm)
        for electrode in self.recording.electrodes:
            try:
                require_clear_of_sheet(electrode, size_mm)
            except TissueError as error:
                raise ConfigError(f"recording.electrodes_mm: {error}") from error

    def _require_some_accuracy(self) -> None:
        slowest, _ = self.tissue.diffusivity_bounds_mm2_per_ms
        error = self.solver.expected_cv_error(slowest)
        if error > COARSEST * (1 + 1e-9):
            raise ConfigError(
                f"solver: at D = {slowest:g} mm^2/ms its spacing and step do not resolve a wave "
                f"(expected CV error {error:.0%}); lower solver.spacing_mm"
            )

    def _require_stable_step(self) -> None:
        for diffusivity in self.tissue.diffusivity_bounds_mm2_per_ms:
            spacing_mm, dt_ms = self.solver.resolution(diffusivity)
            largest_dt_ms = self.solver.stable_dt_ms(spacing_mm, diffusivity)
            if dt_ms < SMALLEST_DT_MS:
                raise ConfigError(
                    f"solver: cells of {spacing_mm:.3g} mm need steps of {dt_ms:.2g} ms, below the "
                    f"least of {SMALLEST_DT_MS:g} ms; raise solver.spacing_mm or solver.dt_ms"
                )
            if dt_ms > largest_dt_ms:
                raise ConfigError(
                    f"solver.dt_ms = {dt_ms:g}: must be at most {largest_dt_ms:.3g} for cells of "
                    f"{spacing_mm:.3g} mm at D = {diffusivity:g} mm^2/ms; lower it, or raise "
                    "solver.spacing_mm"
                )
