"""Read cases of a library by case id, with everything that a predictor may use."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Float16, Float32, Float64, Int64

from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.cases.splits import ALL
from fwdecg.errors import LibraryError
from fwdecg.library.reader import Library, open_library
from fwdecg.library.schema import (
    BULK_DIFFUSIVITY,
    CASE_ID,
    CONDITION,
    CONDUCTING,
    DIFFUSIVITY,
    ELECTRODES,
    PHI_E,
    SPLIT,
    U,
    tensor_column,
)

CASES_PER_BATCH = 32  # about 40 MB of the paper's maps

_COLUMNS = [CASE_ID, CONDITION, SPLIT, U, PHI_E, DIFFUSIVITY, ELECTRODES, BULK_DIFFUSIVITY]


@dataclass(frozen=True, kw_only=True)
class LabelledCases:
    """Cases with everything that a predictor may use, in the library's units.

    Attributes:
        case_id: number of each case.
        condition: tissue condition of each case.
        split: split of each case.
        u: voltage maps, dimensionless.
        phi_e: ECG in mm/ms.
        diffusivity_mm2_per_ms: area mean of D per pixel, 0 where nothing conducts.
        conducting_fraction: conducting fraction of each pixel's area.
        bulk_diffusivity_mm2_per_ms: D of the conducting tissue; where D varies, its central value.
        electrodes_mm: positions of the electrodes, which a shift may displace.
    """

    case_id: Int64[np.ndarray, " case"]
    condition: tuple[str, ...]
    split: tuple[str, ...]
    u: Float16[np.ndarray, "case frame row col"]
    phi_e: Float32[np.ndarray, "case electrode frame"]
    diffusivity_mm2_per_ms: Float32[np.ndarray, "case row col"]
    conducting_fraction: Float[np.ndarray, "case row col"]
    bulk_diffusivity_mm2_per_ms: Float64[np.ndarray, " case"]
    electrodes_mm: Float64[np.ndarray, "case electrode 3"]

    def __len__(self) -> int:
        """Return the number of cases."""
        return len(self.case_id)


def stream_labelled_cases(library: Library, split: str = ALL) -> Iterator[LabelledCases]:
    """Yield the cases of a split, sorted by case id, `CASES_PER_BATCH` at a time.

    The last batch may be smaller.

    Args:
        library: library to read.
        split: "train", "validation", "test", the test split of a shift, or "all" of them.

    Raises:
        LibraryError: there is no such split, it is empty, or a part cannot be read.
    """
    # pyarrow's batches may contain a single case, too few to keep a CPU busy.
    waiting: list[pa.Table] = []
    rows = 0
    for batch in library.batches(split, _columns(library)):
        waiting.append(pa.Table.from_batches([batch]))
        rows += batch.num_rows
        while sum(table.num_rows for table in waiting) >= CASES_PER_BATCH:
            joined = pa.concat_tables(waiting)
            yield _labelled(joined.slice(0, CASES_PER_BATCH))
            waiting = [joined.slice(CASES_PER_BATCH)]
    if not rows:
        raise LibraryError(
            f"{library.location} has no case in the split {split}, although its manifest counts "
            "some; check it with the job check_library"
        )
    rest = pa.concat_tables(waiting)
    if rest.num_rows:
        yield _labelled(rest)


def read_labelled_cases(library: Library, case_ids: Sequence[int]) -> LabelledCases:
    """Read chosen cases of a library into memory, sorted by case id.

    Raises:
        LibraryError: there is no such case, or a part cannot be read.
    """
    table = library.table(ALL, _columns(library), case_ids)
    missing = sorted(set(case_ids) - set(table[CASE_ID].to_pylist()))
    if missing:
        raise LibraryError(f"{library.location} has no case {missing[0]}; see its manifest.json")
    return _labelled(table)


def load_cases(library: Library, case_ids: Sequence[int]) -> list[RecordedCase]:
    """Read chosen cases of a library into memory, in the given order.

    Raises:
        LibraryError: there is no such case, or a part cannot be read.
    """
    cases, config = read_labelled_cases(library, case_ids), library.config
    return [
        RecordedCase(
            case_id=int(cases.case_id[row]),
            condition=cases.condition[row],
            bulk_diffusivity_mm2_per_ms=float(cases.bulk_diffusivity_mm2_per_ms[row]),
            u=cases.u[row],
            diffusivity_mm2_per_ms=cases.diffusivity_mm2_per_ms[row],
            conducting_fraction=cases.conducting_fraction[row],
            map_spacing_mm=config.map_spacing_mm,
            frame_interval_ms=config.recording.frame_interval_ms,
            phi_e_mm_per_ms=cases.phi_e[row],
            electrodes_mm=cases.electrodes_mm[row],
        )
        for row in np.searchsorted(cases.case_id, case_ids)
    ]


def load_case(library: Library | str | Path, case_id: int) -> RecordedCase:
    """Read one case of a library.

    Args:
        library: open library, or its folder or URI.
        case_id: number of the case.

    Raises:
        LibraryError: there is no such library or case, or a part cannot be read.
    """
    opened = library if isinstance(library, Library) else open_library(library)
    (case,) = load_cases(opened, [case_id])
    return case


def _columns(library: Library) -> list[str]:
    varies = library.config.tissue.diffusivity_variation > 0
    return [*_COLUMNS, CONDUCTING] if varies else _COLUMNS


def _labelled(table: pa.Table) -> LabelledCases:
    diffusivity, bulk = tensor_column(table, DIFFUSIVITY), table[BULK_DIFFUSIVITY].to_numpy()
    if CONDUCTING in table.column_names:
        conducting = tensor_column(table, CONDUCTING)
    else:  # D is uniform, so its area mean is proportional to the conducting fraction
        conducting = diffusivity / bulk[:, None, None]
    return LabelledCases(
        case_id=table[CASE_ID].to_numpy(),
        condition=tuple(table[CONDITION].to_pylist()),
        split=tuple(table[SPLIT].to_pylist()),
        u=tensor_column(table, U),
        phi_e=tensor_column(table, PHI_E),
        diffusivity_mm2_per_ms=diffusivity,
        conducting_fraction=conducting,
        bulk_diffusivity_mm2_per_ms=bulk,
        electrodes_mm=tensor_column(table, ELECTRODES),
    )
