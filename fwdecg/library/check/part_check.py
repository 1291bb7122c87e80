"""A part of a library, read row by row; of each case a few numbers are kept."""

import hashlib
from collections.abc import Generator, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.library.check.access import DAMAGE, open_part
from fwdecg.library.check.fault import REBUILD, Check, Fault, faults_at, quoted
from fwdecg.library.check.inventory import ListedPart
from fwdecg.library.check.limits import case_bytes
from fwdecg.library.check.redraws import DRAW_CHECKS, expected_case
from fwdecg.library.check.rows import Row, problems, rows
from fwdecg.library.check.schema_check import check_schema
from fwdecg.library.check.values import VALUE_CHECKS
from fwdecg.library.schema import CASE_ID, CONDITION, DIFFUSIVITY, PHI_E, SPLIT, U
from fwdecg.library.statistics import PartMoments
from fwdecg.runtime.storage import Store

# What a part may hold beyond its tensors: a few short columns and the pages' own headers.
SPARE_FACTOR, SPARE_BYTES = 1.5, 2**20


class HeldCase(NamedTuple):
    """What is kept of a case that was read.

    Attributes:
        case_id: its number.
        file: the part it stands in.
        condition: as stored.
        split: as stored.
        seed: as stored.
        blocked_pixels: pixels without tissue.
        pattern: digest of where they are.
        moments: of its map and ECG.
        redraws: as stored.
        cv_error_estimate: as stored.
        active_at_end: whether any tissue is excited in the last frame.
        node_updates: as stored.
    """

    case_id: int
    file: str
    condition: str
    split: str
    seed: int
    blocked_pixels: int
    pattern: bytes
    moments: PartMoments
    redraws: int
    cv_error_estimate: float
    active_at_end: bool
    node_updates: int


_HELD_COLUMNS = {
    *(CASE_ID, CONDITION, SPLIT, "seed", U, PHI_E, DIFFUSIVITY, "redraws"),
    *("cv_error_estimate", "active_fraction_at_end", "node_updates"),
}


class PartContents(NamedTuple):
    """What was read of a part.

    Attributes:
        case_ids: of its rows, in their order.
        cases: those rows that have all columns.
        whole: whether every row could be read with all columns.
    """

    case_ids: tuple[int, ...]
    cases: tuple[HeldCase, ...]
    whole: bool


def check_part(
    store: Store, listed: ListedPart, config: LibraryConfig, *, redraw: bool
) -> Generator[Fault, None, PartContents | None]:
    """All checks of a part's columns and of each of its rows; None if it cannot be read.

    Args:
        store: where the library is.
        listed: the part.
        config: of the library.
        redraw: whether to compare each row with what the configuration draws for it.
    """
    file = listed.part.file
    try:
        with open_part(store, file) as parquet:
            refusal = _refusal(parquet.metadata, listed, config)
            if refusal is None:
                return (yield from _check_rows(parquet, listed, config, redraw=redraw))
    except DAMAGE as error:
        refusal = f"cannot be read: {quoted(error)}"
    yield Fault(Check.FILES, file, refusal, REBUILD)
    return None


def _refusal(metadata: pq.FileMetaData, listed: ListedPart, config: LibraryConfig) -> str | None:
    """Why a part is not read though it could be."""
    if metadata.num_rows > len(listed.part.case_ids):
        return f"holds {metadata.num_rows} cases, more than its name says; it is not read"
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    size = sum(group.total_byte_size for group in groups)
    most = SPARE_FACTOR * metadata.num_rows * case_bytes(config) + SPARE_BYTES
    if size > most:
        return f"would fill {size} bytes, its cases need {most:.0f} at most; it is not read"
    return None


def _check_rows(
    parquet: pq.ParquetFile, listed: ListedPart, config: LibraryConfig, *, redraw: bool
) -> Generator[Fault, None, PartContents]:
    file, case_ids, cases = listed.part.file, [], []
    usable = yield from check_schema(file, parquet.schema_arrow, config)
    for row in rows(file, parquet, usable, config):
        if isinstance(row, Fault):
            yield row
            continue
        case_id = row.get(CASE_ID)
        name = f"{file}, case {'of unknown id' if case_id is None else case_id}"
        yield from faults_at(Check.VALUES, name, problems(VALUE_CHECKS, row, config))
        if case_id is None:
            continue
        case_ids.append(case_id)
        if case_id not in listed.part.case_ids:
            yield Fault(Check.CASES, name, "lies outside the range in the part's name")
        elif redraw and case_id < config.cases:
            yield from faults_at(Check.DRAWS, name, _draw_problems(row, case_id, config))
        if row.keys() >= _HELD_COLUMNS:
            cases.append(_held(file, row))
    count = parquet.metadata.num_rows
    if count != listed.cases:
        yield Fault(Check.FILES, file, f"holds {count} cases, its manifest says {listed.cases}")
    return PartContents(tuple(case_ids), tuple(cases), whole=len(cases) == count)


def _draw_problems(row: Row, case_id: int, config: LibraryConfig) -> Iterator[str]:
    try:
        expected = expected_case(config, case_id)
    except Exception as error:  # a foreign configuration may draw anything
        yield f"cannot be drawn again: {type(error).__name__}: {error}"
        return
    yield from problems(DRAW_CHECKS, row, expected)


def _held(file: str, row: Row) -> HeldCase:
    blocked = row[DIFFUSIVITY] == 0
    with np.errstate(invalid="ignore", over="ignore"):  # values that are not finite are named
        moments = PartMoments.from_arrays(row[U][None], row[PHI_E][None])
    return HeldCase(
        case_id=row[CASE_ID],
        file=file,
        condition=row[CONDITION],
        split=row[SPLIT],
        seed=row["seed"],
        blocked_pixels=int(blocked.sum()),
        pattern=hashlib.sha256(np.packbits(blocked).tobytes()).digest(),
        moments=moments,
        redraws=row["redraws"],
        cv_error_estimate=row["cv_error_estimate"],
        active_at_end=row["active_fraction_at_end"] > 0,
        node_updates=row["node_updates"],
    )
