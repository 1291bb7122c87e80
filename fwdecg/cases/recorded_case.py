"""One case with its tissue, voltage maps and ECG, for users and plots."""

import zipfile
from dataclasses import dataclass, fields
from functools import cached_property
from html import escape
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.simulation import CaseRecord
from fwdecg.errors import CaseError
from fwdecg.physics.diffusion import divergence
from fwdecg.physics.map_ecg import per_conducting_area
from fwdecg.physics.markers import activation_times_ms
from fwdecg.physics.raster import cell_centres_mm
from fwdecg.physics.tissue import Tissue
from fwdecg.shapes import Electrodes, Field, Frames, Mask, single_number

# Smallest conducting fraction of a pixel's area from which float16 maps resolve its voltage.
LEAST_CONDUCTING_FRACTION = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordedCase:
    """A simulated case, without any prediction.

    Attributes:
        case_id: number of the case in its library, or None for a user's own tissue.
        condition: tissue condition, such as "fibrosis"; "own tissue" for a user's own.
        bulk_diffusivity_mm2_per_ms: D of the conducting tissue, or the mean about which it varies.
        u: dimensionless voltage maps, 0 at rest and about 1 when excited.
        diffusivity_mm2_per_ms: area mean of D in each pixel, 0 where nothing conducts.
        conducting_fraction: fraction of each pixel's area that conducts.
        map_spacing_mm: side length of a pixel.
        frame_interval_ms: time between two frames; the first frame is at t = 0.
        phi_e_mm_per_ms: ECG at each electrode, in units of u times mm/ms.
        electrodes_mm: x, y and z of each electrode, measured from the top-left corner.
    """

    case_id: int | None
    condition: str
    bulk_diffusivity_mm2_per_ms: float
    u: Frames
    diffusivity_mm2_per_ms: Field
    conducting_fraction: Field
    map_spacing_mm: float
    frame_interval_ms: float
    phi_e_mm_per_ms: Float32[np.ndarray, "electrode frame"]
    electrodes_mm: Electrodes

    @classmethod
    def from_record(cls, record: CaseRecord, config: LibraryConfig) -> "RecordedCase":
        """Return a case that was just simulated.

        Args:
            record: result of the simulation.
            config: library configuration that the case was simulated with.
        """
        return cls(
            case_id=record.spec.case_id,
            condition=record.spec.condition,
            bulk_diffusivity_mm2_per_ms=record.spec.bulk_diffusivity_mm2_per_ms,
            u=record.u,
            diffusivity_mm2_per_ms=record.diffusivity_mm2_per_ms,
            conducting_fraction=record.conducting_fraction,
            map_spacing_mm=config.map_spacing_mm,
            frame_interval_ms=config.recording.frame_interval_ms,
            phi_e_mm_per_ms=record.phi_e,
            electrodes_mm=record.electrodes_mm,
        )

    @classmethod
    def load(cls, path: str | Path) -> "RecordedCase":
        """Read a case that `save` has written.

        Raises:
            CaseError: the file is missing, damaged, or holds no case.
        """
        try:
            with np.load(Path(path).expanduser(), allow_pickle=False) as arrays:
                values = {name: _plain(arrays[name]) for name in arrays.files}
            return cls(**({"case_id": None} | values))
        except OSError as error:
            raise CaseError(f"{path}: {error.strerror or error}") from error
        except (ValueError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
            raise CaseError(
                f"{path} is no case: give a file that RecordedCase.save has written"
            ) from error

    def save(self, path: str | Path) -> None:
        """Write the case to a compressed .npz file, which NumPy also reads without fwdecg.

        Raises:
            CaseError: the file cannot be written.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        try:
            with Path(path).expanduser().open("wb") as file:  # NumPy would append .npz to a path
                np.savez_compressed(file, **{k: v for k, v in values.items() if v is not None})
        except (OSError, RuntimeError) as error:  # RuntimeError: the home folder of nobody
            reason = getattr(error, "strerror", None) or error
            raise CaseError(f"{path} cannot be written: {reason}") from error

    def __repr__(self) -> str:
        """Return one line with the title and the sizes of maps and ECG."""
        frames, rows, cols = self.u.shape
        return (
            f"<RecordedCase {self.title}: {frames} frames of {rows} x {cols} pixels, every "
            f"{self.frame_interval_ms:g} ms and {self.map_spacing_mm:g} mm; "
            f"{len(self.electrodes_mm)} electrodes>"
        )

    def _repr_html_(self) -> str:
        """Return the same as a table, for notebooks."""
        frames, rows, cols = self.u.shape
        width_mm, height_mm = cols * self.map_spacing_mm, rows * self.map_spacing_mm
        electrodes = "; ".join(
            "({:g}, {:g}, {:g})".format(*each) for each in self.electrodes_mm[:3]
        )
        more = f" and {len(self.electrodes_mm) - 3} more" if len(self.electrodes_mm) > 3 else ""
        entries = {
            "Sheet": f"{width_mm:g} x {height_mm:g} mm, {rows} x {cols} pixels",
            "Frames": f"{frames}, every {self.frame_interval_ms:g} ms",
            "Electrodes": f"{electrodes}{more} mm",
            "D": f"{self.bulk_diffusivity_mm2_per_ms:.4g} mm²/ms",
        }
        table = "".join(
            f"<tr><th>{name}</th><td>{text}</td></tr>" for name, text in entries.items()
        )
        return f"<table><caption>{escape(self.title)}</caption>{table}</table>"

    @property
    def title(self) -> str:
        """Condition, and the number of a case of a library."""
        words = self.condition.replace("_", " ")
        return words if self.case_id is None else f"{words}, case no. {self.case_id}"

    @property
    def time_ms(self) -> Float[np.ndarray, " frame"]:
        """Time of each frame of the maps and the ECG."""
        return np.arange(len(self.u)) * self.frame_interval_ms

    @cached_property
    def conducts(self) -> Mask:
        """Mask of the pixels that contain enough tissue to resolve its voltage."""
        return self.conducting_fraction >= LEAST_CONDUCTING_FRACTION

    @cached_property
    def activation_ms(self) -> Field:
        """Activation time of each pixel's tissue; NaN where no tissue conducts or activates."""
        times = activation_times_ms(self._tissue_voltage(self.u), self.frame_interval_ms)
        return np.where(self.conducts, times, np.nan)

    @property
    def latest_activation_ms(self) -> float:
        """Time at which the last pixel activates; one frame interval if none does."""
        return float(np.nanmax(self.activation_ms, initial=self.frame_interval_ms))

    def require_electrode(self, electrode: int) -> None:
        """Raise CaseError if the case has no electrode of this number."""
        if not isinstance(electrode, Integral) or not 0 <= electrode < len(self.electrodes_mm):
            raise CaseError(
                f"electrode = {electrode!r}: must be a whole number from 0 to "
                f"{len(self.electrodes_mm) - 1}"
            )

    def _tissue_voltage(self, u: np.ndarray) -> np.ndarray:
        """Return the voltage of each pixel's tissue.

        A pixel at the rim of a patch is the mean over conducting tissue and the patch, where u = 0.
        Dividing by the conducting fraction recovers the voltage of the tissue.
        """
        return u / np.maximum(self.conducting_fraction, LEAST_CONDUCTING_FRACTION)


def contribution_map(case: RecordedCase, electrode: int, time_ms: float) -> Field:
    """Return how much each pixel contributes to the ECG of an electrode at a time, in mm/ms.

    The contribution is div(D grad u) dA / |r - r_e| of Eq. 1 on the maps. Its sum over all pixels
    is the ECG as `fwdecg.ecg` computes it from the maps.

    Args:
        case: a case with its maps.
        electrode: number of the electrode, from 0.
        time_ms: time; the nearest frame is used.

    Raises:
        CaseError: the case has no such electrode, or the time lies outside the recording.
    """
    case.require_electrode(electrode)
    time = single_number(time_ms, "time_ms", CaseError)
    if not 0 <= time <= case.time_ms[-1]:
        raise CaseError(f"time_ms = {time:g}: must be from 0 to {case.time_ms[-1]:g}")
    frame = round(time / case.frame_interval_ms)
    tissue = Tissue(
        spacing_mm=case.map_spacing_mm,
        diffusivity_mm2_per_ms=case.diffusivity_mm2_per_ms.astype(np.float64),
    )
    u = per_conducting_area(case.u[frame], case.conducting_fraction)
    source = divergence(u, tissue) * case.map_spacing_mm**2
    rows, cols = source.shape
    x_mm, y_mm, z_mm = case.electrodes_mm[electrode]
    across_mm = cell_centres_mm(cols, case.map_spacing_mm) - x_mm
    along_mm = cell_centres_mm(rows, case.map_spacing_mm)[:, None] - y_mm
    return source / np.sqrt(across_mm**2 + along_mm**2 + z_mm**2)


def _plain(value: np.ndarray) -> Any:
    """Return a scalar as a plain value, and an array as it is."""
    return value.item() if value.ndim == 0 else value
