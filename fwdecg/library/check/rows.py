"""Reading the rows of a part in bounded memory, and checks of its columns and their values.

A Parquet file that declares false sizes inside its pages may still exhaust the memory.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.library.check.fault import Check, ReportFault, ReportProblem, quoted, reporter
from fwdecg.library.check.limits import case_bytes
from fwdecg.library.schema import (
    CASE_ID,
    CONDITION,
    CONDUCTING,
    DIFFUSIVITY,
    NULLABLE,
    PHI_E,
    SPLIT,
    U,
    case_schema,
)
from fwdecg.library.statistics import Moments, moments_of
from fwdecg.physics.stimulus import AMPLITUDE_PER_MS, DURATION_MS
from fwdecg.runtime.storage import Store

READ_AHEAD_BYTES = 2**20  # per column; by default pyarrow buffers a part's whole column
BATCH_BYTES = 2**23  # of tensors; pyarrow needs about five times as much to decode them

# No current drives u below rest. Above 1 the fast inward current turns outward; only the slow one
# raises u further, to at most 1.20 in the published parameter sets (FK98-BR; measured with both
# schemes at 2 and 30 % CV error). The margins allow for rounding and a coarse time step.
LOWEST_U, HIGHEST_U = -0.01, 1.3
# A second stimulus raises u in tissue that is already excited.
STIMULUS_RISE = AMPLITUDE_PER_MS * DURATION_MS

SKIPPED = "checks that need this column are skipped"

# A row's values by column name, without the columns that cannot be read.
Row = Mapping[str, Any]
T = TypeVar("T")
# Columns that a check needs, and the check: (row, expected values, report).
RowCheck = tuple[Sequence[str], Callable[[Row, T, ReportProblem], None]]


class CaseSummary(NamedTuple):
    """What the check keeps of each case that it has read.

    Attributes:
        case_id: stored case id.
        file: part that contains the case.
        condition: stored condition.
        split: stored split.
        seed: stored seed.
        blocked_pixels: number of pixels without tissue.
        pattern: SHA-256 of the mask of those pixels.
        moments: moments of the voltage maps and of the ECG.
        redraws: stored number of redraws.
        cv_error_estimate: stored error estimate of the conduction velocity.
        active_at_end: whether any tissue is excited in the last frame.
        node_updates: stored number of node updates.
    """

    case_id: int
    file: str
    condition: str
    split: str
    seed: int
    blocked_pixels: int
    pattern: bytes
    moments: Moments
    redraws: int
    cv_error_estimate: float
    active_at_end: bool
    node_updates: int


_SUMMARY_COLUMNS = {
    *(CASE_ID, CONDITION, SPLIT, "seed", U, PHI_E, DIFFUSIVITY, "redraws"),
    *("cv_error_estimate", "active_fraction_at_end", "node_updates"),
}


def open_part(store: Store, file: str) -> pq.ParquetFile:
    """Open a part without reading its rows."""
    return pq.ParquetFile(store.open(file), pre_buffer=False, buffer_size=READ_AHEAD_BYTES)


def read_rows(
    parquet: pq.ParquetFile, columns: Sequence[str], config: LibraryConfig, report: ReportProblem
) -> Iterator[Row]:
    """Yield the rows of a part; report and leave out each column of a batch that has nulls."""
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
    """Number of null values of a column, including those inside tensors."""
    inside = 0
    if isinstance(column, pa.ExtensionArray):
        inside = column.storage.flatten().null_count
    return column.null_count + inside


def summarise_case(file: str, row: Row) -> CaseSummary | None:
    """Return what the check keeps of a case; None if the row lacks a column."""
    if not row.keys() >= _SUMMARY_COLUMNS:
        return None
    blocked = row[DIFFUSIVITY] == 0
    with np.errstate(invalid="ignore", over="ignore"):  # other checks report infinite values
        moments = moments_of(row[U][None], row[PHI_E][None])
    return CaseSummary(
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


def check_row(checks: Sequence[RowCheck[T]], row: Row, expected: T, report: ReportProblem) -> None:
    """Run those checks of a row whose columns it has."""
    for columns, check in checks:
        if row.keys() >= set(columns):
            check(row, expected, report)


def check_schema(
    file: str, found: pa.Schema, config: LibraryConfig, report: ReportFault
) -> list[str]:
    """Compare a part's columns with the schema and return the names of the readable ones."""
    expected, usable = case_schema(config), []
    report_problem = reporter(Check.SCHEMA, file, report)
    _check_names(found, expected, report_problem)
    for field in expected:
        if found.names.count(field.name) == 1:
            column = found.field(field.name)
            _check_field(column, field, report_problem)
            if column.type == field.type:
                usable.append(field.name)
    return usable


def _check_names(found: pa.Schema, expected: pa.Schema, report: ReportProblem) -> None:
    for name in sorted(set(found.names) - set(expected.names)):
        report(f"has a column {quoted(name)}, which the schema does not have")
    for name in expected.names:
        count = found.names.count(name)
        if count != 1:
            report(f"has {count or 'no'} columns {name}: must have one; {SKIPPED}")
    if set(found.names) == set(expected.names) and found.names != expected.names:
        report("has its columns in another order than the schema")
    version, wanted = (_metadata(schema, b"fwdecg.schema_version") for schema in (found, expected))
    if version != wanted:
        report(f"has schema version {version}: must be {wanted}")


def _check_field(found: pa.Field, expected: pa.Field, report: ReportProblem) -> None:
    name = f"column {expected.name}"
    if found.type != expected.type:
        report(f"{name} has type {quoted(found.type)}: must be {expected.type}; {SKIPPED}")
    if found.nullable != expected.nullable:
        report(f"{name} is {'nullable' if found.nullable else 'not nullable'}, unlike the schema")
    unit, wanted = _metadata(found, b"unit"), _metadata(expected, b"unit")
    if unit != wanted:
        report(f"{name} has unit {unit}: must be {wanted}")


def _metadata(described: pa.Schema | pa.Field, key: bytes) -> str:
    entry = (described.metadata or {}).get(key)
    return "none" if entry is None else quoted(entry.decode(errors="replace"))


def _check_u(row: Row, config: LibraryConfig, report: ReportProblem) -> None:
    u = row[U]
    _check_finite(U, u, report)
    highest = HIGHEST_U + (STIMULUS_RISE if config.pacing.protocol == "reentry" else 0.0)
    if ((u < LOWEST_U) | (u > highest)).any():
        report(
            f"u is between {np.nanmin(u):g} and {np.nanmax(u):g}: must be from {LOWEST_U:g} to "
            f"{highest:g}, where 0 is rest and 1 the peak of the upstroke"
        )
    if u[0].any():
        report("u is not 0 in the first frame: a recording starts at rest")


def _check_phi_e(row: Row, _: LibraryConfig, report: ReportProblem) -> None:
    phi_e = row[PHI_E]
    _check_finite(PHI_E, phi_e, report)
    if phi_e[:, 0].any():
        report("phi_e is not 0 in the first frame: tissue at rest has no ECG")


def _check_diffusivity(row: Row, _: LibraryConfig, report: ReportProblem) -> None:
    diffusivity = row[DIFFUSIVITY]
    _check_finite(DIFFUSIVITY, diffusivity, report)
    if (diffusivity < 0).any():
        report(f"{DIFFUSIVITY} has a minimum of {np.nanmin(diffusivity):g}: must be at least 0")


def _check_conducting(row: Row, _: LibraryConfig, report: ReportProblem) -> None:
    fraction = row[CONDUCTING]
    if not ((fraction >= 0) & (fraction <= 1)).all():
        bounds = f"between {np.min(fraction):g} and {np.max(fraction):g}"
        report(f"{CONDUCTING} is {bounds}: must be from 0 to 1")
    differing = int(((fraction > 0) != (row[DIFFUSIVITY] > 0)).sum())
    if differing:
        report(f"{CONDUCTING} and {DIFFUSIVITY} disagree on which of {differing} pixels conduct")


def _check_blocked_pixels(row: Row, _: LibraryConfig, report: ReportProblem) -> None:
    excited = int((row[U].any(axis=0) & (row[DIFFUSIVITY] == 0)).sum())
    if excited:
        report(f"u is not 0 in {excited} pixels without tissue")


def _check_fractions(row: Row, config: LibraryConfig, report: ReportProblem) -> None:
    least = config.recording.least_activated_fraction
    for name, lowest in (("activated_fraction", least), ("active_fraction_at_end", 0.0)):
        if not lowest <= row[name] <= 1:
            report(f"{name} is {row[name]:g}: must be from {lowest:g} to 1")


def _check_finite(name: str, values: np.ndarray, report: ReportProblem) -> None:
    count = int((~np.isfinite(values)).sum())
    if count:
        report(f"{name} is not finite in {count} of {values.size} values")


VALUE_CHECKS: tuple[RowCheck[LibraryConfig], ...] = (
    ((U,), _check_u),
    ((PHI_E,), _check_phi_e),
    ((DIFFUSIVITY,), _check_diffusivity),
    ((CONDUCTING, DIFFUSIVITY), _check_conducting),
    ((U, DIFFUSIVITY), _check_blocked_pixels),
    (("activated_fraction", "active_fraction_at_end"), _check_fractions),
)
