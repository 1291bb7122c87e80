"""A case of a library as its pictures show it: tissue, voltage maps and ECG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from fwdecg.evaluation.cases import read_cases
from fwdecg.evaluation.tissue_maps import TissueMaps
from fwdecg.library.reader import Library


@dataclass(frozen=True, kw_only=True)
class RecordedCase:
    """A case without any prediction.

    Attributes:
        case_id: number of the case.
        condition: its tissue condition.
        bulk_diffusivity_mm2_per_ms: D of the conducting tissue, or what it varies about.
        maps: of its tissue and voltage.
        phi_e: ECG in mm/ms.
    """

    case_id: int
    condition: str
    bulk_diffusivity_mm2_per_ms: float
    maps: TissueMaps
    phi_e: Float32[np.ndarray, "electrode frame"]


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
                map_spacing_mm=config.tissue.size_mm / config.recording.map_pixels,
                frame_interval_ms=config.recording.frame_interval_ms,
            ),
            phi_e=cases.phi_e[row],
        )
        for row in (int(np.flatnonzero(cases.case_id == case_id)[0]) for case_id in case_ids)
    ]


def ecg_scale(cases: Sequence[RecordedCase]) -> tuple[float, str]:
    """The power of 1000 in mm/ms in which the cases' ECGs are drawn, and its name as a unit."""
    largest = max(float(np.abs(case.phi_e[0]).max()) for case in cases)
    power = 3 * math.floor(math.log10(largest) / 3) if largest > 0 else 0
    return 10.0**power, f"10$^{{{power}}}$ mm/ms" if power else "mm/ms"
