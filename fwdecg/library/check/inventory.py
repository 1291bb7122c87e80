"""Compare the files of a library with its manifest: parts, checksums, quarantined cases."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from fwdecg.library.check.descriptions import read_description
from fwdecg.library.check.fault import (
    DAMAGE,
    REBUILD,
    Check,
    ReportFault,
    ReportProblem,
    quoted,
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

MOVE_AWAY = "move it out of the library"
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
    """Check that the library has exactly the parts in the manifest, with their checksums."""
    report = partial(report, Check.FILES)
    listed = list(_listed_parts(manifest, partial(report, MANIFEST)))
    for before, after in pairwise(sorted(entry.part for entry in listed)):
        if after.first < before.stop:
            remedy = "delete one of the two and build the library again"
            report(after.file, f"its range of cases overlaps with {before.file}", remedy)
    unique = sorted({entry.part: entry for entry in listed}.values())
    sizes = {entry: store.size(entry.part.file) for entry in unique}
    for entry, size in sizes.items():
        _check_part_file(store, entry, size, partial(report, entry.part.file))
    found = {f"{CASES_FOLDER}/{name}" for name in store.sizes(CASES_FOLDER)}
    for file in sorted(found - {entry.part.file for entry in listed}):
        problem = f"is not listed in {MANIFEST}, but Parquet readers of the folder load it"
        report(file, problem, MOVE_AWAY)
    return Inventory(
        parts=tuple(entry for entry in unique if sizes[entry] is not None),
        absent=tuple(entry.part for entry in unique if sizes[entry] is None),
        bytes=sum(size or 0 for size in sizes.values()),
        quarantined=tuple(_check_quarantine(store, report)),
    )


def _listed_parts(manifest: dict[str, Any], report: ReportProblem) -> Iterator[ListedPart]:
    entries = manifest.get("parts", [])
    if not isinstance(entries, list):
        report("parts must be a list")
        return
    for number, entry in enumerate(entries):
        part = _parse_entry(entry)
        if part is None:
            report(
                f"parts[{number}] is {quoted(entry)}: must have {', '.join(_ENTRY)}, and a file "
                f"name such as {Part(0, 8).file} for cases 0 to 7"
            )
        else:
            yield part


def _parse_entry(entry: object) -> ListedPart | None:
    if not isinstance(entry, dict) or any(type(entry.get(k)) is not t for k, t in _ENTRY.items()):
        return None
    part = parse_part_name(Path(entry["file"]).name)
    # Accept only the part's canonical path, so that no entry points outside the library.
    if part is None or part.file != entry["file"] or not part.case_ids:
        return None
    return ListedPart(part, entry["cases"], entry["bytes"], entry["sha256"])


def _check_part_file(
    store: Store, entry: ListedPart, size: int | None, report: ReportProblem
) -> None:
    if size is None:
        report("is missing", "build the library again; the build keeps the other parts")
    elif size != entry.bytes:
        report(f"has {size} bytes: the manifest says {entry.bytes}", REBUILD)
    else:
        try:
            with store.open(entry.part.file) as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
        except DAMAGE as error:
            report(f"cannot be read: {error}", REBUILD)
            return
        if found != entry.sha256:
            report(f"has SHA-256 {found}: the manifest says {quoted(entry.sha256)}", REBUILD)


def _check_quarantine(store: Store, report: ReportFault) -> Sequence[int]:
    """Check the records of quarantined cases and return the case ids."""
    case_ids = []
    for name in sorted(store.sizes(QUARANTINE_FOLDER)):
        case_id, file = parse_case_name(name), f"{QUARANTINE_FOLDER}/{name}"
        if case_id is None or quarantine_file(case_id) != file:
            problem = f"is not the record of a case: a valid name is {quarantine_file(7)}"
            report(file, problem, MOVE_AWAY)
            continue
        case_ids.append(case_id)
        record = read_description(store, file, store.read_json, partial(report, file))
        if record is None:
            continue
        found, reason = record.get("case_id"), record.get("error")
        if found != case_id:
            report(file, f"case_id is {quoted(found)}: must be {case_id}, as in the file name")
        if not (isinstance(reason, str) and reason):
            report(file, f"error is {quoted(reason)}: must say why the case failed")
    return case_ids
