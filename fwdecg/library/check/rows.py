"""Read the rows of a part in bounded memory, and check its columns and values.

A Parquet file with false sizes inside its pages can exceed the bound and exhaust the memory.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.pacing import REENTRY
from fwdecg.library.check.fault import ReportProblem, quoted
from fwdecg.library.check.limits import case_bytes
from fwdecg.library.schema import (
    CONDUCTING,
    DIFFUSIVITY,
    NULLABLE,
    PHI_E,
    U,
    case_schema,
)
from fwdecg.library.statistics import Moments, moments_of
from fwdecg.physics.stimulus import AMPLITUDE_PER_MS, DURATION_MS
from fwdecg.runtime.storage import Store

READ_AHEAD_BYTES = 2**20  # per column; by default pyarrow buffers a part's whole column
BATCH_BYTES = 2**23  # size of a batch's tensors; pyarrow needs about five times as much memory

# No current drives u below rest. Above 1 the fast inward current turns outward, and only the slow
# inward current raises u further. The highest u of the published parameter sets is 1.20 (FK98-BR;
# measured with both schemes at 2 and 30 % CV error). The margins allow for rounding and a coarse
# time step.
LOWEST_U, HIGHEST_U = -0.01, 1.3
# A second stimulus may raise u by this much in tissue that is already excited.
STIMULUS_RISE = AMPLITUDE_PER_MS * DURATION_MS

SKIPPED = "checks that need this column are skipped"

# A row's values by column name, without the columns that cannot be read.
Row = Mapping[str, Any]


class CaseSummary(NamedTuple):
    """Values of one case for the checks that compare all cases.

    The fields before `file` are the stored values of the columns with these names.

    Attributes:
        file: part that contains the case.
        blocked_pixels: number of pixels without tissue.
        pattern: SHA-256 of the mask of the pixels without tissue.
        moments: moments of the voltage maps and of the ECG.
    """

    case_id: int
    condition: str
    split: str
    seed: int
    redraws: int
    cv_error_estimate: float
    active_fraction_at_end: float
    node_updates: int
    file: str
    blocked_pixels: int
    pattern: bytes
    moments: Moments


_STORED = CaseSummary._fields[: CaseSummary._fields.index("file")]


def open_part(store: Store, file: str) -> pq.ParquetFile:
    """Open a part without reading its rows."""
    return pq.ParquetFile(store.open(file), pre_buffer=False, buffer_size=READ_AHEAD_BYTES)


def read_rows(
    parquet: pq.ParquetFile, columns: Sequence[str], config: LibraryConfig, report: ReportProblem
) -> Iterator[Row]:
    """Yield the rows of a part; report columns with nulls, and omit them from their batch."""
    size = max(int(BATCH_BYTES / case_bytes(config)), 1)
    for batch in parquet.iter_batches(batch_size=size, columns=list(columns)):
        values = {}
        for name in columns:
            column = batch.column(name)
            nulls = 0 if name in NULLABLE else _count_nulls(column)
            if nulls:
                report(f"column {name} has {nulls} null values: must have none")
            elif isinstance(column, pa.FixedShapeTensorArray):
                values[name] = column.to_numpy_ndarray()
            else:
                values[name] = column.to_pylist()
        for index in range(batch.num_rows):
            yield {name: column[index] for name, column in values.items()}


def _count_nulls(column: pa.Array) -> int:
    """Return the number of nulls in a column, including nulls inside tensors."""
    inside = 0
    if isinstance(column, pa.ExtensionArray):
        inside = column.storage.flatten().null_count
    return column.null_count + inside


def summarise_case(file: str, row: Row) -> CaseSummary | None:
    """Return the summary of a case; None if the row lacks a column that it needs."""
    if not row.keys() >= {*_STORED, U, PHI_E, DIFFUSIVITY}:
        return None
    blocked = row[DIFFUSIVITY] == 0
    with np.errstate(invalid="ignore", over="ignore"):  # other checks report infinite values
        moments = moments_of(row[U][None], row[PHI_E][None])
    return CaseSummary(
        **{name: row[name] for name in _STORED},
        file=file,
        blocked_pixels=int(blocked.sum()),
        pattern=hashlib.sha256(np.packbits(blocked).tobytes()).digest(),
        moments=moments,
    )


def check_schema(found: pa.Schema, config: LibraryConfig, report: ReportProblem) -> list[str]:
    """Compare a part's columns with the schema and return the names of the readable columns."""
    expected, usable = case_schema(config), []
    for name in sorted(set(found.names) - set(expected.names)):
        report(f"has a column {quoted(name)}, which the schema does not have")
    if sorted(found.names) == sorted(expected.names) and found.names != expected.names:
        report("has its columns in another order than the schema")
    version, wanted = (_metadata(schema, b"fwdecg.schema_version") for schema in (found, expected))
    if version != wanted:
        report(f"has schema version {version}: must be {wanted}")
    for field in expected:
        name, count = field.name, found.names.count(field.name)
        if count != 1:
            report(f"has {count or 'no'} columns {name}: must have one; {SKIPPED}")
            continue
        column = found.field(name)
        if column.type != field.type:
            report(f"column {name} has type {quoted(column.type)}: must be {field.type}; {SKIPPED}")
        else:
            usable.append(name)
        if column.nullable != field.nullable:
            report(f"column {name} has nullable {column.nullable}: must be {field.nullable}")
        unit, wanted = _metadata(column, b"unit"), _metadata(field, b"unit")
        if unit != wanted:
            report(f"column {name} has unit {unit}: must be {wanted}")
    return usable


def _metadata(described: pa.Schema | pa.Field, key: bytes) -> str:
    entry = (described.metadata or {}).get(key)
    return "none" if entry is None else quoted(entry.decode(errors="replace"))


def check_values(row: Row, config: LibraryConfig, report: ReportProblem) -> None:
    """Check that a row's values are possible; skip the columns that the row lacks."""
    stimulus = STIMULUS_RISE if config.pacing.protocol == REENTRY else 0.0
    bounds = {
        U: (LOWEST_U, HIGHEST_U + stimulus),
        PHI_E: (-math.inf, math.inf),
        DIFFUSIVITY: (0.0, math.inf),
        CONDUCTING: (0.0, 1.0),
        "activated_fraction": (config.recording.least_activated_fraction, 1.0),
        "active_fraction_at_end": (0.0, 1.0),
    }
    for name, (lowest, highest) in bounds.items():
        if name not in row:
            continue
        values = np.asarray(row[name])
        infinite = np.count_nonzero(~np.isfinite(values))
        if infinite:
            report(f"{name} is not finite in {infinite} of {values.size} values")
        if ((values < lowest) | (values > highest)).any():
            found = f"{np.nanmin(values):g} to {np.nanmax(values):g}"
            report(f"{name} is from {found}: must be from {lowest:g} to {highest:g}")
    if U in row and row[U][0].any():
        report("u is not 0 in the first frame: a recording starts at rest")
    if PHI_E in row and row[PHI_E][:, 0].any():
        report("phi_e is not 0 in the first frame: tissue at rest has no ECG")
    for electrode in _constant_ecgs(row):
        report(f"phi_e of electrode {electrode} is constant: it must vary, as the tissue activates")
    if DIFFUSIVITY not in row:
        return
    if CONDUCTING in row:
        differing = np.count_nonzero((row[CONDUCTING] > 0) != (row[DIFFUSIVITY] > 0))
        if differing:
            report(f"{CONDUCTING} and {DIFFUSIVITY} disagree on whether {differing} pixels conduct")
    if U in row:
        excited = np.count_nonzero(row[U].any(axis=0) & (row[DIFFUSIVITY] == 0))
        if excited:
            report(f"u is not 0 in {excited} pixels without tissue")


def _constant_ecgs(row: Row) -> list[int]:
    """Return the numbers of the electrodes whose ECG does not vary."""
    if PHI_E not in row:
        return []
    return np.flatnonzero(np.ptp(row[PHI_E], axis=1) == 0).tolist()
