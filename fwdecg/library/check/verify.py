"""Verification of a library from an untrusted source.

All parts are read once, a few rows at a time. All cases are drawn again from the configuration in
the manifest, and some are simulated again, within limits of memory and time. Nothing is written.
"""

import logging
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from fwdecg.cases.conditions import CONDITIONS
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.errors import ConfigError, LibraryError
from fwdecg.library.check.descriptions import Descriptions, check_descriptions
from fwdecg.library.check.fault import (
    DAMAGE,
    REBUILD,
    Check,
    Fault,
    ReportFault,
    quoted,
)
from fwdecg.library.check.inventory import Inventory, ListedPart, check_files
from fwdecg.library.check.limits import case_bytes, check_case_size, check_sheet_size
from fwdecg.library.check.redraws import check_draw, draw_sample, resimulate
from fwdecg.library.check.rows import (
    CaseSummary,
    check_schema,
    check_values,
    open_part,
    read_rows,
    summarise_case,
)
from fwdecg.library.check.totals import (
    check_balance,
    check_case_ids,
    check_disjoint,
    check_statistics,
    check_totals,
)
from fwdecg.library.paths import CASES_FOLDER, MANIFEST, Part
from fwdecg.library.schema import CASE_ID
from fwdecg.runtime.progress import Progress
from fwdecg.runtime.storage import Store

logger = logging.getLogger(__name__)

# A part also contains a few short columns and page headers beside its tensors.
OVERHEAD_FACTOR, OVERHEAD_BYTES = 1.5, 2**20

# What each check covered, in words.
Coverage = dict[Check, str]


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """Result of checking a library.

    Attributes:
        store: location of the library.
        faults: all faults.
        coverage: what each check covered, in words; a check that is missing here was skipped.
    """

    store: Store
    faults: tuple[Fault, ...]
    coverage: Coverage

    @property
    def text(self) -> str:
        """Report as text: one line per fault, then a table of the checks."""
        numbers = Counter(fault.check for fault in self.faults)
        rows = [("check", "faults", "covers")]
        rows += [
            (check.value, str(numbers[check]), self.coverage.get(check, "not checked"))
            for check in Check
        ]
        table = [f"{check:<14}{faults:>7}  {covers}" for check, faults, covers in rows]
        return "\n".join([*(fault.line for fault in self.faults), *table])


@dataclass(kw_only=True)
class Contents:
    """Content of the parts that could be read.

    Attributes:
        case_ids: ids of all rows.
        cases: summaries of the rows that have all columns.
        unread: parts that are missing or cannot be read.
        rows: number of rows of all parts.
    """

    case_ids: list[int] = field(default_factory=list)
    cases: list[CaseSummary] = field(default_factory=list)
    unread: list[Part]
    rows: int = 0

    @property
    def complete(self) -> bool:
        """Whether every row of every part is among `cases`."""
        return not self.unread and len(self.cases) == self.rows


def check_library(
    place: str | Path | Store, *, sample: int = len(CONDITIONS), seed: int = 0
) -> CheckReport:
    """Check a library and return all its faults.

    Args:
        place: folder or URI of the library.
        sample: number of cases to simulate again, spread evenly over the conditions.
        seed: seed of the random choice of these cases.

    Raises:
        LibraryError: there is no library at the given place.
        ConfigError: sample or seed is below 0.
    """
    if min(sample, seed) < 0:
        raise ConfigError(f"sample = {sample}, seed = {seed}: both must be at least 0")
    store, faults = _open_store(place), list[Fault]()

    def report(*fault: Any) -> None:
        faults.append(Fault(*fault))

    coverage = _check(store, sample, np.random.default_rng(seed), report)
    return CheckReport(store=store, faults=tuple(faults), coverage=coverage)


def _open_store(place: str | Path | Store) -> Store:
    store = Store.at(place)
    if not store.exists():
        raise LibraryError(f"{store.label()}: no such folder; give the folder that has {MANIFEST}")
    if not (store.exists(MANIFEST) or store.sizes(CASES_FOLDER)):
        raise LibraryError(
            f"{store.label()} is no library: it has neither {MANIFEST} nor {CASES_FOLDER}/; give "
            "the folder that has them"
        )
    return store


def _check(store: Store, sample: int, rng: np.random.Generator, report: ReportFault) -> Coverage:
    descriptions = check_descriptions(store, report)
    inventory = check_files(store, descriptions.manifest, report)
    version = quoted(descriptions.manifest.get("code_version", "of unknown version"))
    coverage = {
        Check.DESCRIPTIONS: f"manifest, statistics, data card; built by fwdecg {version}",
        Check.FILES: f"{len(inventory.parts)} parts, {inventory.bytes / 1e6:.1f} MB, "
        f"{len(inventory.quarantined)} quarantined cases",
    }
    config = descriptions.config
    if config is None:
        return coverage
    readable, drawable = check_case_size(config, report), check_sheet_size(config, report)
    if not readable:
        return coverage
    contents = _check_parts(store, inventory, config, redraw=drawable, report=report)
    coverage |= _check_all_cases(contents, descriptions, inventory, config, report)
    if drawable:
        coverage[Check.DRAWS] = f"{len(contents.case_ids)} cases"
        if sample:
            chosen = draw_sample(contents.cases, sample, rng)
            coverage[Check.SIMULATION] = resimulate(store, chosen, config, report)
    return coverage


def _check_parts(
    store: Store,
    inventory: Inventory,
    config: LibraryConfig,
    *,
    redraw: bool,
    report: ReportFault,
) -> Contents:
    """Check the columns and rows of all parts."""
    progress = Progress(logger, "cases read", sum(len(p.part.case_ids) for p in inventory.parts))
    contents = Contents(unread=[*inventory.absent])
    for listed in inventory.parts:
        try:
            with open_part(store, listed.part.file) as parquet:
                _require_moderate_size(parquet.metadata, listed, config)
                _check_rows(parquet, listed, config, contents, redraw=redraw, report=report)
        except DAMAGE as error:
            problem = f"cannot be read: {quoted(error)}"
            report(Check.FILES, listed.part.file, problem, REBUILD)
            contents.unread.append(listed.part)
        progress.advance(len(listed.part.case_ids))
    return contents


def _require_moderate_size(
    metadata: pq.FileMetaData, listed: ListedPart, config: LibraryConfig
) -> None:
    """Raise `LibraryError` if a part is too large for its cases; decompress no row."""
    if metadata.num_rows > len(listed.part.case_ids):
        raise LibraryError(f"it has {metadata.num_rows} rows, more than cases in its name")
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    size = sum(group.total_byte_size for group in groups)
    limit = OVERHEAD_FACTOR * metadata.num_rows * case_bytes(config) + OVERHEAD_BYTES
    if size > limit:
        raise LibraryError(f"it has {size} bytes uncompressed: its cases need at most {limit:.0f}")


def _check_rows(
    parquet: pq.ParquetFile,
    listed: ListedPart,
    config: LibraryConfig,
    contents: Contents,
    *,
    redraw: bool,
    report: ReportFault,
) -> None:
    """Check a part's columns and rows, and add the rows to the contents."""
    file, count = listed.part.file, parquet.metadata.num_rows
    if count != listed.cases:
        report(Check.FILES, file, f"has {count} cases: the manifest says {listed.cases}")
    contents.rows += count
    report_schema = partial(report, Check.SCHEMA, file)
    columns = check_schema(parquet.schema_arrow, config, report_schema)
    for row in read_rows(parquet, columns, config, report_schema):
        case_id = row.get(CASE_ID)
        name = f"{file}, case {'of unknown id' if case_id is None else case_id}"
        check_values(row, config, partial(report, Check.VALUES, name))
        if case_id is None:
            continue
        contents.case_ids.append(case_id)
        if case_id not in listed.part.case_ids:
            report(Check.CASES, name, "is outside the range in the part's name")
        elif redraw and case_id < config.cases:
            check_draw(row, case_id, config, partial(report, Check.DRAWS, name))
        summary = summarise_case(file, row)
        if summary is not None:
            contents.cases.append(summary)


def _check_all_cases(
    contents: Contents,
    descriptions: Descriptions,
    inventory: Inventory,
    config: LibraryConfig,
    report: ReportFault,
) -> Coverage:
    """Run the checks over all cases; skip totals, balance and statistics if a case is unread."""
    quarantined, cases = inventory.quarantined, contents.cases
    check_case_ids(contents.case_ids, quarantined, contents.unread, config.cases, report)
    check_disjoint(cases, report)
    count, ids = f"{len(contents.case_ids)} cases", f"ids 0 to {config.cases - 1}"
    sizes = Counter(case.split for case in cases)
    splits = ", ".join(f"{number} {quoted(split)}" for split, number in sizes.items())
    coverage = {Check.SCHEMA: count, Check.VALUES: count}
    if not contents.complete:
        reason = "because not all cases could be read"
        coverage[Check.CASES] = f"{ids}; not the manifest's totals, {reason}"
        coverage[Check.SPLITS] = f"{splits}: seeds, patches; not the balance, {reason}"
        return coverage
    check_totals(descriptions.manifest, cases, quarantined, config.shifts, report)
    coverage[Check.CASES] = f"{ids}, the manifest's totals"
    check_balance(cases, config.shifts, report)
    coverage[Check.SPLITS] = f"{splits}: seeds, patches, balance"
    if descriptions.statistics is not None:
        check_statistics(descriptions.statistics, cases, report)
        coverage[Check.STATISTICS] = "all training cases"
    return coverage
