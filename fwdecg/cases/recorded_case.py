"""A case as its pictures show it, and as a notebook wants it: tissue, voltage maps and ECG."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float32

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.simulation import CaseRecord
from fwdecg.physics.markers import activation_times_ms
from fwdecg.shapes import Electrodes, Field, Frames, Mask

LEAST_SHARE = 1e-3  # of a pixel's area; where less conducts, float16 cannot tell its voltage


@dataclass(frozen=True, kw_only=True)
class TissueMaps:
    """The maps of one case.

    Attributes:
        u: voltage maps, dimensionless.
        diffusivity_mm2_per_ms: area mean of D per pixel, 0 where nothing conducts.
        conducting_share: of each pixel's area.
        map_spacing_mm: side of a pixel.
        frame_interval_ms: time between frames; the first is t = 0.
    """

    u: Frames
    diffusivity_mm2_per_ms: Field
    conducting_share: Field
    map_spacing_mm: float
    frame_interval_ms: float

    @property
    def time_ms(self) -> Float[np.ndarray, " frame"]:
        """Time of each frame."""
        return np.arange(len(self.u)) * self.frame_interval_ms

    @cached_property
    def conducts(self) -> Mask:
        """Pixels with enough tissue to tell its voltage."""
        return self.conducting_share >= LEAST_SHARE

    @cached_property
    def activation_ms(self) -> Field:
        """Activation time of each pixel's tissue; NaN where it never activates or there is none."""
        # At the rim of a patch a map is the mean over tissue that conducts and some that rests.
        voltage = self.u / np.maximum(self.conducting_share, LEAST_SHARE)
        times = activation_times_ms(voltage, self.frame_interval_ms)
        return np.where(self.conducts, times, np.nan)

    @property
    def latest_activation_ms(self) -> float:
        """When the last pixel activates; the time between frames if none does."""
        return float(np.nanmax(self.activation_ms, initial=self.frame_interval_ms))

    def over_tissue(self, field: Field) -> np.ma.MaskedArray:
        """A field with the pixels masked that do not conduct."""
        return np.ma.masked_array(field.astype(np.float64), ~self.conducts)


@dataclass(frozen=True, kw_only=True)
class RecordedCase:
    """A case without any prediction.

    Attributes:
        case_id: number of the case.
        condition: its tissue condition.
        bulk_diffusivity_mm2_per_ms: D of the conducting tissue, or what it varies about.
        maps: of its tissue and voltage.
        phi_e_mm_per_ms: ECG, in the library's unit.
        electrodes_mm: x, y, z of each electrode from the top-left corner.
    """

    case_id: int
    condition: str
    bulk_diffusivity_mm2_per_ms: float
    maps: TissueMaps
    phi_e_mm_per_ms: Float32[np.ndarray, "electrode frame"]
    electrodes_mm: Electrodes

    @classmethod
    def of(cls, record: CaseRecord, config: LibraryConfig) -> "RecordedCase":
        """A case that was just simulated.

        Args:
            record: what came of it.
            config: of the library that it could be in.
        """
        return cls(
            case_id=record.spec.case_id,
            condition=record.spec.condition,
            bulk_diffusivity_mm2_per_ms=record.spec.bulk_diffusivity_mm2_per_ms,
            maps=TissueMaps(
                u=record.u,
                diffusivity_mm2_per_ms=record.diffusivity_mm2_per_ms,
                conducting_share=record.conducting_fraction,
                map_spacing_mm=config.map_spacing_mm,
                frame_interval_ms=config.recording.frame_interval_ms,
            ),
            phi_e_mm_per_ms=record.phi_e,
            electrodes_mm=record.electrodes_mm,
        )

    @property
    def u(self) -> Frames:
        """Voltage maps, dimensionless: 0 at rest, about 1 excited."""
        return self.maps.u

    @property
    def time_ms(self) -> Float[np.ndarray, " frame"]:
        """Time of each frame of maps and ECG."""
        return self.maps.time_ms

    @property
    def activation_ms(self) -> Field:
        """Activation time of each pixel; NaN where it never activates or does not conduct."""
        return self.maps.activation_ms

    @property
    def diffusivity_mm2_per_ms(self) -> Field:
        """Area mean of D per pixel, 0 where nothing conducts."""
        return self.maps.diffusivity_mm2_per_ms
