"""Collect the cases of one part in a Parquet file, and describe the file.

The description depends only on the published bytes, whether this run or an earlier one wrote them.
A resumed build therefore ends with the same manifest and statistics as an uninterrupted one.
"""

import contextlib
import hashlib
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.splits import TRAIN
from fwdecg.errors import LibraryError
from fwdecg.library.paths import Part, pending_file
from fwdecg.library.pending_cases import pending_tables
from fwdecg.library.schema import (
    CASE_ID,
    PHI_E,
    SPLIT,
    U,
    case_schema,
    require_library_columns,
    tensor_column,
)
from fwdecg.library.statistics import Moments, moments_of
from fwdecg.runtime.storage import Store, retry_io

CASES_PER_ROW_GROUP = 16  # a reader loads at least one group: 20 MB of the paper's maps
_DESCRIBED_COLUMNS = ("cv_error_estimate", "active_fraction_at_end", "redraws", "node_updates")


@dataclass(frozen=True, kw_only=True)
class PartRecord:
    """Description of a part, from which the manifest and the statistics are made.

    Attributes:
        part: range of case ids.
        case_ids: cases in the file; the other cases of the range are quarantined.
        moments: sums over the maps and ECGs of the training cases; see `statistics`.
        sha256: checksum of the file; empty if there is no file because all cases are quarantined.
        size_bytes: size of the file.
        largest_cv_error: largest expected error of the conduction velocity.
        active_at_end: number of cases that are still excited in the last frame.
        redraws: number of sheets discarded because the stimulus was blocked.
        node_updates: number of cell updates (cells times time steps) in all simulations.
    """

    part: Part
    case_ids: tuple[int, ...]
    moments: Moments
    sha256: str = ""
    size_bytes: int = 0
    largest_cv_error: float = 0.0
    active_at_end: int = 0
    redraws: int = 0
    node_updates: int = 0

    @property
    def quarantined(self) -> tuple[int, ...]:
        """Cases of the range that failed."""
        return tuple(sorted(set(self.part.case_ids) - set(self.case_ids)))


def publish_part(
    config: LibraryConfig, store: Store, part: Part, quarantined: set[int]
) -> PartRecord:
    """Publish a part from its pending cases, unless it is published already, and describe it.

    Args:
        config: library configuration.
        store: location of the library.
        part: range of case ids.
        quarantined: failed cases, as the driver knows them; a listing of the store may be stale.

    Raises:
        LibraryError: a file is damaged.
        FileNotFoundError: a case is neither pending nor quarantined.
    """
    try:
        content = retry_io(lambda: store.read(part.file))
    except FileNotFoundError:
        case_ids = [case_id for case_id in part.case_ids if case_id not in quarantined]
        if not case_ids:
            nothing = np.zeros((3, 1 + config.recording.electrode_count))
            return PartRecord(part=part, case_ids=(), moments=nothing)
        content = _collect(config, store, case_ids)
        retry_io(lambda: store.publish(part.file, content))
    with contextlib.suppress(OSError):  # the driver removes leftovers at the end of the build
        for case_id in part.case_ids:
            store.remove(pending_file(case_id))
    return _describe(config, store, part, content)


def _collect(config: LibraryConfig, store: Store, case_ids: list[int]) -> pa.Buffer:
    """Return the bytes of a Parquet file with the pending cases."""
    sink = pa.BufferOutputStream()
    options = {"compression": "zstd", "use_dictionary": False, "store_schema": True}
    with pq.ParquetWriter(sink, case_schema(config), **options) as writer:
        for table in pending_tables(store, case_ids, CASES_PER_ROW_GROUP):
            writer.write_table(table)
    return sink.getvalue()


def _describe(config: LibraryConfig, store: Store, part: Part, content: pa.Buffer) -> PartRecord:
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        require_library_columns(store.label(part.file), file.schema_arrow, config)
        scalars = file.read([CASE_ID, *_DESCRIBED_COLUMNS])
        groups = (
            file.read_row_group(group, [SPLIT, U, PHI_E]) for group in range(file.num_row_groups)
        )
        moments = reduce(np.add, map(_training_moments, groups))
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise LibraryError(
            f"{store.label(part.file)} is damaged ({error}); delete it and build again"
        ) from error
    return PartRecord(
        part=part,
        case_ids=tuple(scalars[CASE_ID].to_pylist()),
        moments=moments,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=content.size,
        largest_cv_error=pc.max(scalars["cv_error_estimate"]).as_py(),
        active_at_end=pc.sum(pc.greater(scalars["active_fraction_at_end"], 0)).as_py(),
        redraws=pc.sum(scalars["redraws"]).as_py(),
        node_updates=pc.sum(scalars["node_updates"]).as_py(),
    )


def _training_moments(cases: pa.Table) -> Moments:
    training = cases.filter(pc.field(SPLIT) == TRAIN)
    return moments_of(tensor_column(training, U), tensor_column(training, PHI_E))
