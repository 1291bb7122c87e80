"""One part of a library: its cases gathered into one Parquet file, and described.

A part is described from its published bytes alone, whether this run wrote them or an earlier one
did: a build that resumes ends with the very manifest and statistics of one never interrupted.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.simulation import simulate_case
from fwdecg.cases.splits import TRAIN
from fwdecg.errors import LibraryError
from fwdecg.library.paths import Part, pending_cases, pending_file, quarantined_cases
from fwdecg.library.pending_cases import Simulate, pending_tables, simulate_pending_case
from fwdecg.library.schema import (
    CASE_ID,
    PHI_E,
    SPLIT,
    U,
    case_schema,
    foreign_columns,
    tensor_column,
)
from fwdecg.library.statistics import Moments, PartMoments
from fwdecg.runtime.storage import Store, retry_io

CASES_PER_ROW_GROUP = 16  # what a reader must hold at least; 20 MB of the paper's maps
_DESCRIBED = ("cv_error_estimate", "active_fraction_at_end", "redraws", "node_updates")


@dataclass(frozen=True, kw_only=True)
class PartRecord:
    """What the manifest keeps of a part.

    Attributes:
        part: the range of case ids.
        case_ids: the cases that its file holds; the others are quarantined.
        sha256: of the file; empty if every case is quarantined, so that there is none.
        size_bytes: of the file.
        moments: of its training cases.
        largest_cv_error: over its cases.
        active_at_end: number of cases still excited in the last frame.
        redraws: sheets thrown away because the stimulus was blocked.
        node_updates: cells times steps computed in all its simulations.
    """

    part: Part
    case_ids: tuple[int, ...]
    sha256: str
    size_bytes: int
    moments: PartMoments
    largest_cv_error: float
    active_at_end: int
    redraws: int
    node_updates: int

    @property
    def quarantined(self) -> tuple[int, ...]:
        """The cases that failed."""
        return tuple(sorted(set(self.part.case_ids) - set(self.case_ids)))


def build_part(
    config: LibraryConfig, store: Store, part: Part, simulate: Simulate = simulate_case
) -> PartRecord:
    """Simulate what is missing of a part here, one case after the other, and publish it."""
    if not store.exists(part.file):
        held = pending_cases(store) | quarantined_cases(store)
        for case_id in sorted(set(part.case_ids) - held):
            simulate_pending_case(config, store, case_id, simulate)
    return publish_part(config, store, part, quarantined_cases(store))


def publish_part(
    config: LibraryConfig, store: Store, part: Part, quarantined: set[int]
) -> PartRecord:
    """Publish a part from its spooled cases, unless that is done already, and describe it.

    Args:
        config: of the library.
        store: where the library is.
        part: the range of cases.
        quarantined: cases that failed; a listing of the store may be out of date.

    Raises:
        LibraryError: a file is damaged.
        FileNotFoundError: a case is neither spooled nor quarantined.
    """
    content = _published(store, part)
    if content is None:
        held = [case_id for case_id in part.case_ids if case_id not in quarantined]
        if not held:
            return _empty_record(config, part)
        content = _gathered(config, store, held)
        retry_io(lambda: store.publish(part.file, content))
    with contextlib.suppress(OSError):  # the part is safe, and the driver clears up in the end
        for case_id in part.case_ids:
            store.remove(pending_file(case_id))
    return _described(config, store, part, content)


def _published(store: Store, part: Part) -> pa.Buffer | None:
    try:
        return retry_io(lambda: store.read(part.file))
    except FileNotFoundError:
        return None


def _gathered(config: LibraryConfig, store: Store, case_ids: list[int]) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    options = {"compression": "zstd", "use_dictionary": False, "store_schema": True}
    with pq.ParquetWriter(sink, case_schema(config), **options) as writer:
        for table in pending_tables(store, case_ids, CASES_PER_ROW_GROUP):
            writer.write_table(table)
    return sink.getvalue()


def _described(config: LibraryConfig, store: Store, part: Part, content: pa.Buffer) -> PartRecord:
    electrodes = config.recording.electrode_count
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        _require_own_columns(file, config)
        scalars = file.read([CASE_ID, *_DESCRIBED])
        moments = reduce(
            lambda a, b: a + b,
            (_moments(group, electrodes) for group in _row_groups(file)),
            _no_moments(electrodes),
        )
    except (OSError, ValueError) as error:  # pyarrow's are ValueErrors
        raise LibraryError(
            f"{store.label(part.file)} is damaged ({error}); delete it and build again"
        ) from error
    return PartRecord(
        part=part,
        case_ids=tuple(scalars[CASE_ID].to_pylist()),
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=content.size,
        moments=moments,
        largest_cv_error=pc.max(scalars["cv_error_estimate"]).as_py(),
        active_at_end=pc.sum(pc.greater(scalars["active_fraction_at_end"], 0)).as_py(),
        redraws=pc.sum(scalars["redraws"]).as_py(),
        node_updates=pc.sum(scalars["node_updates"]).as_py(),
    )


def _require_own_columns(file: pq.ParquetFile, config: LibraryConfig) -> None:
    foreign = foreign_columns(file.schema_arrow, config)
    if foreign:
        raise ValueError(f"{', '.join(foreign)} is not of the types of a library")


def _row_groups(file: pq.ParquetFile) -> Iterator[pa.Table]:
    for group in range(file.num_row_groups):
        yield file.read_row_group(group, [SPLIT, U, PHI_E])


def _moments(cases: pa.Table, electrodes: int) -> PartMoments:
    training = cases.filter(pc.field(SPLIT) == TRAIN)
    if training.num_rows == 0:
        return _no_moments(electrodes)
    return PartMoments.from_arrays(tensor_column(training, U), tensor_column(training, PHI_E))


def _no_moments(electrodes: int) -> PartMoments:
    return PartMoments(u=Moments(), phi_e=(Moments(),) * electrodes)


def _empty_record(config: LibraryConfig, part: Part) -> PartRecord:
    return PartRecord(
        part=part,
        case_ids=(),
        sha256="",
        size_bytes=0,
        moments=_no_moments(config.recording.electrode_count),
        largest_cv_error=0.0,
        active_at_end=0,
        redraws=0,
        node_updates=0,
    )
