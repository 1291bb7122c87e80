"""A case as its pictures show it, and as a notebook wants it: tissue, voltage maps and ECG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from fwdecg.evaluation.cases import read_cases
from fwdecg.evaluation.tissue_maps import TissueMaps
from fwdecg.library.case import CaseRecord
from fwdecg.library.config import LibraryConfig
from fwdecg.library.reader import Library, open_library
from fwdecg.shapes import Electrodes, Field, Frames


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


def recorded_cases(library: Library, case_ids: Sequence[int]) -> list[RecordedCase]:
    """Some cases of a library, all in memory, in the order asked for.

    Raises:
        LibraryError: there is no such case, or a part cannot be read.
    """
    cases, config = read_cases(library, case_ids), library.config
    return [
        RecordedCase(
            case_id=int(cases.case_id[row]),
            condition=cases.condition[row],
            bulk_diffusivity_mm2_per_ms=float(cases.bulk_diffusivity_mm2_per_ms[row]),
            maps=TissueMaps(
                u=cases.u[row],
                diffusivity_mm2_per_ms=cases.diffusivity_mm2_per_ms[row],
                conducting_share=cases.conducting_fraction[row],
                map_spacing_mm=config.map_spacing_mm,
                frame_interval_ms=config.recording.frame_interval_ms,
            ),
            phi_e_mm_per_ms=cases.phi_e[row],
            electrodes_mm=cases.electrodes_mm[row],
        )
        for row in (int(np.flatnonzero(cases.case_id == case_id)[0]) for case_id in case_ids)
    ]


def load_case(library: Library | str | Path, case_id: int) -> RecordedCase:
    """One case of a library.

    Args:
        library: opened, or its folder or URI.
        case_id: number of the case.

    Raises:
        LibraryError: there is no such library or case, or a part cannot be read.
    """
    opened = library if isinstance(library, Library) else open_library(library)
    (case,) = recorded_cases(opened, [case_id])
    return case


def ecg_scale(cases: Sequence[RecordedCase]) -> tuple[float, str]:
    """The power of 1000 in mm/ms in which the cases' ECGs are drawn, and its name as a unit."""
    largest = max(float(np.abs(case.phi_e_mm_per_ms[0]).max()) for case in cases)
    power = 3 * math.floor(math.log10(largest) / 3) if largest > 0 else 0
    return 10.0**power, f"10$^{{{power}}}$ mm/ms" if power else "mm/ms"
