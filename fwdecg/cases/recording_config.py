"""Settings of the recording: frames, maps and electrodes."""

import math
from dataclasses import dataclass

import numpy as np

from fwdecg.config import Configuration, setting
from fwdecg.errors import ConfigError
from fwdecg.physics.raster import cell_centres_mm
from fwdecg.shapes import Electrodes

# In every published cell model, a wave into resting tissue keeps u above the activation level for
# at least 62 ms (shortest in FK-CAF, next to patches). Frames at this interval therefore show every
# cell that activates.
MAX_FRAME_INTERVAL_MS = 50.0

# Ratio of the file size of a case with one electrode to the size of its maps in memory, measured on
# the paper's library. ECGs hardly compress: they keep 58 to 97 % of their size.
COMPRESSED_FRACTION = 0.3

# Largest size of the maps and ECGs of one case in memory; a case of the paper has 1.3e6.
MOST_CASE_BYTES = 4e9


@dataclass(frozen=True, kw_only=True)
class RecordingConfig(Configuration):
    """Settings of the recorded frames, maps and electrodes."""

    duration_ms: float = setting(
        800.0, "length of the recording, a multiple of the frame interval", above=0
    )
    frame_interval_ms: float = setting(
        5.0,
        "time between frames of maps and ECG; shorter than an action potential, so that no "
        "activation is missed",
        above=0,
        at_most=MAX_FRAME_INTERVAL_MS,
    )
    map_pixels: int = setting(64, "rows and columns of a voltage map", at_least=8)
    electrodes_mm: tuple[tuple[float, float, float], ...] = setting(
        ((50.0, 50.0, 40.0),),
        "x, y, z of each electrode from the top-left corner, in mm",
        replaces="electrode_grid",
    )
    electrode_grid: tuple[int, int] | None = setting(
        None,
        "rows and columns of a regular grid of electrodes above the sheet, which replaces the "
        "list electrodes_mm",
        at_least=1,
        at_most=100,
    )
    electrode_grid_height_mm: float = setting(40.0, "z of the electrodes of the grid", above=0)
    electrode_shift_mm: tuple[float, float, float] = setting(
        (15.0, 15.0, 0.0),
        "displacement (x, y, z) of every electrode in the test split of the shift electrode",
    )
    least_activated_fraction: float = setting(
        0.5,
        "a case is quarantined if a smaller fraction of its conducting tissue activates",
        at_least=0,
        at_most=1,
    )

    def __post_init__(self) -> None:
        """Check every value, the number of frames and the number of electrodes."""
        super().__post_init__()
        if not self.electrodes_mm:
            raise ConfigError("electrodes_mm = []: give at least one electrode")
        whole = math.isclose(self.frames * self.frame_interval_ms, self.duration_ms)
        if self.frames < 2 or not whole:
            raise ConfigError(
                f"duration_ms = {self.duration_ms:g}: must be a multiple of frame_interval_ms = "
                f"{self.frame_interval_ms:g}, and at least twice it"
            )

        self._require_affordable_case()

    def _require_affordable_case(self) -> None:
        ecg_bytes = self.electrode_count * self.frames * np.dtype(np.float32).itemsize
        size = float(self.map_bytes) + float(ecg_bytes)
        if size > MOST_CASE_BYTES:
            raise ConfigError(
                f"map_pixels = {self.map_pixels}: {self.frames:.3g} frames with the ECGs of "
                f"{self.electrode_count} electrodes need {size / 1e9:.3g} GB per case: must be at "
                f"most {MOST_CASE_BYTES / 1e9:g}; lower map_pixels, duration_ms or the number of "
                "electrodes, or raise frame_interval_ms"
            )

    @property
    def frames(self) -> int:
        """Number of frames: the first at t = 0 (rest), the last one interval before the end."""
        return round(self.duration_ms / self.frame_interval_ms)

    @property
    def map_bytes(self) -> int:
        """Size in memory of the maps of one case, in bytes."""
        return self.frames * self.map_pixels**2 * np.dtype(np.float16).itemsize

    @property
    def stored_bytes(self) -> float:
        """Approximate size of a case in a file; `COMPRESSED_FRACTION` includes the first ECG."""
        further_ecgs = (self.electrode_count - 1) * self.frames * np.dtype(np.float32).itemsize
        return COMPRESSED_FRACTION * self.map_bytes + further_ecgs

    @property
    def electrode_count(self) -> int:
        """Number of electrodes."""
        return math.prod(self.electrode_grid) if self.electrode_grid else len(self.electrodes_mm)

    def electrodes(self, size_mm: float, *, shifted: bool = False) -> Electrodes:
        """Return the electrode positions in mm; a grid is listed row by row from the top.

        Args:
            size_mm: side of the sheet. The grid divides it into equal rectangles, with one
                electrode above the centre of each.
            shifted: whether the electrodes are displaced by `electrode_shift_mm`.
        """
        if self.electrode_grid is None:
            positions = np.array(self.electrodes_mm, dtype=np.float64)
        else:
            positions = self._grid(*self.electrode_grid, size_mm=size_mm)
        return positions + self.electrode_shift_mm if shifted else positions

    def _grid(self, rows: int, cols: int, *, size_mm: float) -> Electrodes:
        y_mm, x_mm = np.meshgrid(
            cell_centres_mm(rows, size_mm / rows),
            cell_centres_mm(cols, size_mm / cols),
            indexing="ij",
        )
        z_mm = np.full(rows * cols, self.electrode_grid_height_mm)
        return np.stack([x_mm.ravel(), y_mm.ravel(), z_mm], axis=1)
