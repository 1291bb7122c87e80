"""One case with its tissue, voltage maps and ECG, for users and plots."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float32

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.simulation import CaseRecord
from fwdecg.physics.markers import activation_times_ms
from fwdecg.shapes import Electrodes, Field, Frames, Mask

# Smallest conducting fraction of a pixel's area from which float16 maps resolve its voltage.
LEAST_CONDUCTING_FRACTION = 1e-3


@dataclass(frozen=True, kw_only=True)
class RecordedCase:
    """A simulated case, without any prediction.

    Attributes:
        case_id: number of the case in its library.
        condition: tissue condition, such as "fibrosis".
        bulk_diffusivity_mm2_per_ms: D of the conducting tissue, or the mean about which it varies.
        u: dimensionless voltage maps, 0 at rest and about 1 when excited.
        diffusivity_mm2_per_ms: area mean of D in each pixel, 0 where nothing conducts.
        conducting_fraction: fraction of each pixel's area that conducts.
        map_spacing_mm: side length of a pixel.
        frame_interval_ms: time between two frames; the first frame is at t = 0.
        phi_e_mm_per_ms: ECG at each electrode, in units of u times mm/ms.
        electrodes_mm: x, y and z of each electrode, measured from the top-left corner.
    """

    case_id: int
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
        # A pixel at the rim of a patch is the mean over conducting tissue and the patch, where
        # u = 0. Dividing by the conducting fraction recovers the voltage of the tissue.
        voltage = self.u / np.maximum(self.conducting_fraction, LEAST_CONDUCTING_FRACTION)
        times = activation_times_ms(voltage, self.frame_interval_ms)
        return np.where(self.conducts, times, np.nan)

    @property
    def latest_activation_ms(self) -> float:
        """Time at which the last pixel activates; one frame interval if none does."""
        return float(np.nanmax(self.activation_ms, initial=self.frame_interval_ms))
