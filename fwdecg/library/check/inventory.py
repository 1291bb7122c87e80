"""Checks of a library's files against its manifest: parts, checksums, quarantined cases."""

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from fwdecg.library.check.descriptions import read_description
from fwdecg.library.check.fault import (
    DAMAGE,
    REBUILD,
    Check,
    Fault,
    ReportFault,
    quoted,
    reporter,
)
from fwdecg.library.paths import (
    CASES_FOLDER,
    MANIFEST,
    QUARANTINE_FOLDER,
    Part,
    parse_case_name,
    parse_part_name,
    quarantine_file,
)
from fwdecg.runtime.storage import Store

CHUNK_BYTES = 2**20  # read at once while a checksum is computed
_ENTRY = {"file": str, "cases": int, "bytes": int, "sha256": str}


class ListedPart(NamedTuple):
    """A part's entry in the manifest."""

    part: Part
    cases: int
    bytes: int
    sha256: str


class Inventory(NamedTuple):
    """Files of a library.

    Attributes:
        parts: listed parts that exist, sorted by first case.
        absent: listed parts that do not exist.
        bytes: total size of the existing parts.
        quarantined: ids of the cases in quarantine.
    """

    parts: tuple[ListedPart, ...]
    absent: tuple[Part, ...]
    bytes: int
    quarantined: tuple[int, ...]


def check_files(store: Store, manifest: dict[str, Any], report: ReportFault) -> Inventory:
    """Check that the files are exactly those that the manifest lists, byte for byte."""
    listed = _listed_parts(manifest, report)
    _check_overlaps(listed, report)
    unique = sorted({entry.part: entry for entry in listed}.values())
    sizes = {entry: store.size(entry.part.file) for entry in unique}
    for entry, size in sizes.items():
        _check_part_file(store, entry, size, report)
    _check_unlisted(store, listed, report)
    return Inventory(
        parts=tuple(entry for entry in unique if sizes[entry] is not None),
        absent=tuple(entry.part for entry in unique if sizes[entry] is None),
        bytes=sum(size or 0 for size in sizes.values()),
        quarantined=tuple(_check_quarantine(store, report)),
    )


def _listed_parts(manifest: dict[str, Any], report: ReportFault) -> list[ListedPart]:
    entries, parts = manifest.get("parts", []), []
    report_problem = reporter(Check.FILES, MANIFEST, report)
    if not isinstance(entries, list):
        report_problem("parts must be a list")
        return []
    for number, entry in enumerate(entries):
        part = _parse_entry(entry)
        if part is None:
            report_problem(
                f"parts[{number}] is {quoted(entry)}: must have {', '.join(_ENTRY)}, and a file "
                f"name such as {Part(0, 8).file} for cases 0 to 7"
            )
        else:
            parts.append(part)
    return parts


def _parse_entry(entry: object) -> ListedPart | None:
    if not isinstance(entry, dict) or any(type(entry.get(k)) is not t for k, t in _ENTRY.items()):
        return None
    part = parse_part_name(Path(entry["file"]).name)
    # Accept the part's own path alone, so that no entry leads out of the library.
    if part is None or part.file != entry["file"] or not part.case_ids:
        return None
    return ListedPart(part, entry["cases"], entry["bytes"], entry["sha256"])


def _check_overlaps(listed: Sequence[ListedPart], report: ReportFault) -> None:
    for before, after in pairwise(sorted(entry.part for entry in listed)):
        if after.first < before.stop:
            problem = f"its range of cases overlaps with {before.file}"
            remedy = "delete one of the two and build the library again"
            report(Fault(Check.FILES, after.file, problem, remedy))


def _check_part_file(
    store: Store, entry: ListedPart, size: int | None, report: ReportFault
) -> None:
    problem, remedy = "", REBUILD
    if size is None:
        problem = "is missing"
        remedy = "build the library again; the build keeps the other parts"
    elif size != entry.bytes:
        problem = f"has {size} bytes: the manifest says {entry.bytes}"
    else:
        try:
            found = _sha256(store, entry.part.file)
        except DAMAGE as error:
            problem = f"cannot be read: {error}"
        else:
            if found != entry.sha256:
                problem = f"has SHA-256 {found}: the manifest says {quoted(entry.sha256)}"
    if problem:
        report(Fault(Check.FILES, entry.part.file, problem, remedy))


def _sha256(store: Store, file: str) -> str:
    digest = hashlib.sha256()
    with store.open(file) as content:
        while chunk := content.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _check_unlisted(store: Store, listed: Sequence[ListedPart], report: ReportFault) -> None:
    known = {entry.part.file for entry in listed}
    for name in sorted(store.sizes(CASES_FOLDER)):
        if f"{CASES_FOLDER}/{name}" not in known:
            problem = f"is not listed in {MANIFEST}, but Parquet readers of the folder load it"
            report(
                Fault(Check.FILES, f"{CASES_FOLDER}/{name}", problem, "move it out of the library")
            )


def _check_quarantine(store: Store, report: ReportFault) -> list[int]:
    """Check the records of quarantined cases and return the case ids."""
    case_ids = []
    for name in sorted(store.sizes(QUARANTINE_FOLDER)):
        case_id, file = parse_case_name(name), f"{QUARANTINE_FOLDER}/{name}"
        if case_id is None or quarantine_file(case_id) != file:
            problem = f"is not the record of a case: a valid name is {quarantine_file(7)}"
            report(Fault(Check.FILES, file, problem, "move it out of the library"))
        else:
            case_ids.append(case_id)
            _check_record(store, file, case_id, report)
    return case_ids


def _check_record(store: Store, file: str, case_id: int, report: ReportFault) -> None:
    report_problem = reporter(Check.FILES, file, report)
    try:
        content = read_description(store, file)
    except DAMAGE as error:
        report_problem(f"cannot be read: {error}")
        return
    found, reason = content.get("case_id"), content.get("error")
    if found != case_id:
        report_problem(f"case_id is {quoted(found)}: must be {case_id}, as in the file name")
    if not (isinstance(reason, str) and reason):
        report_problem(f"error is {quoted(reason)}: must say why the case failed")
