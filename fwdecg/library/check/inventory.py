"""The files of a library against its manifest: parts, strays, checksums, quarantined cases."""

from collections.abc import Generator, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from fwdecg.library.check.access import (
    DAMAGE,
    description,
    sha256_of,
)
from fwdecg.library.check.fault import REBUILD, Check, Fault, quoted
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

_ENTRY = {"file": str, "cases": int, "bytes": int, "sha256": str}


class ListedPart(NamedTuple):
    """A part as the manifest lists it."""

    part: Part
    cases: int
    bytes: int
    sha256: str


class Inventory(NamedTuple):
    """What is there to be read.

    Attributes:
        parts: listed and present, by first case.
        absent: listed, but not there.
        bytes: size of those present.
        quarantined: ids of the cases that have a record in quarantine.
    """

    parts: tuple[ListedPart, ...]
    absent: tuple[Part, ...]
    bytes: int
    quarantined: tuple[int, ...]


def check_files(store: Store, manifest: dict[str, Any]) -> Generator[Fault, None, Inventory]:
    """Whether the files are those that the manifest lists, to the byte."""
    listed = yield from _listed_parts(manifest)
    yield from _overlaps(listed)
    unique = sorted({entry.part: entry for entry in listed}.values())
    sizes = [store.size(entry.part.file) for entry in unique]
    present = [entry for entry, size in zip(unique, sizes, strict=True) if size is not None]
    for entry, size in zip(unique, sizes, strict=True):
        yield from _differences(store, entry, size)
    yield from _strays(store, listed)
    quarantined = yield from _quarantined(store)
    return Inventory(
        parts=tuple(present),
        absent=tuple(entry.part for entry in unique if entry not in present),
        bytes=sum(size or 0 for size in sizes),
        quarantined=tuple(quarantined),
    )


def _listed_parts(manifest: dict[str, Any]) -> Generator[Fault, None, list[ListedPart]]:
    entries, parts = manifest.get("parts", []), []
    if not isinstance(entries, list):
        yield Fault(Check.FILES, MANIFEST, "parts must be a list of files")
        return []
    for number, entry in enumerate(entries):
        part = _listed_part(entry)
        if part is None:
            yield Fault(
                Check.FILES,
                MANIFEST,
                f"parts[{number}] is {quoted(entry)}: must have {', '.join(_ENTRY)} of a file "
                f"{Part(0, 8).file}, named after the cases from first to before last",
            )
        else:
            parts.append(part)
    return parts


def _listed_part(entry: object) -> ListedPart | None:
    if not isinstance(entry, dict) or any(type(entry.get(k)) is not t for k, t in _ENTRY.items()):
        return None
    part = parse_part_name(Path(entry["file"]).name)
    # The path must be the part's own: one that leads elsewhere is not followed.
    if part is None or part.file != entry["file"] or not part.case_ids:
        return None
    return ListedPart(part, entry["cases"], entry["bytes"], entry["sha256"])


def _overlaps(listed: Sequence[ListedPart]) -> Iterator[Fault]:
    for before, after in pairwise(sorted(entry.part for entry in listed)):
        if after.first < before.stop:
            yield Fault(
                Check.FILES,
                after.file,
                f"its range of cases overlaps that of {before.file}",
                "delete one of them and build the library again",
            )


def _differences(store: Store, entry: ListedPart, size: int | None) -> Iterator[Fault]:
    file = entry.part.file
    if size is None:
        yield Fault(Check.FILES, file, "is missing", "build the library again: the rest is kept")
        return
    if size != entry.bytes:
        yield Fault(
            Check.FILES, file, f"has {size} bytes, its manifest says {entry.bytes}", REBUILD
        )
        return
    try:
        found = sha256_of(store, file)
    except DAMAGE as error:
        yield Fault(Check.FILES, file, f"cannot be read: {error}", REBUILD)
        return
    if found != entry.sha256:
        problem = f"has SHA-256 {found}, its manifest says {quoted(entry.sha256)}"
        yield Fault(Check.FILES, file, problem, REBUILD)


def _strays(store: Store, listed: Sequence[ListedPart]) -> Iterator[Fault]:
    known = {entry.part.file for entry in listed}
    for name in sorted(store.sizes(CASES_FOLDER)):
        if f"{CASES_FOLDER}/{name}" not in known:
            problem = f"is not in {MANIFEST}, but whoever reads the folder reads it too"
            yield Fault(
                Check.FILES, f"{CASES_FOLDER}/{name}", problem, "move it out of the library"
            )


def _quarantined(store: Store) -> Generator[Fault, None, list[int]]:
    case_ids = []
    for name in sorted(store.sizes(QUARANTINE_FOLDER)):
        case_id = parse_case_name(name)
        file = f"{QUARANTINE_FOLDER}/{name}"
        if case_id is None or quarantine_file(case_id) != file:
            problem = f"is no record of a case: they are named as {quarantine_file(7)}"
            yield Fault(Check.FILES, file, problem, "move it out of the library")
            continue
        case_ids.append(case_id)
        yield from _record_problems(store, file, case_id)
    return case_ids


def _record_problems(store: Store, file: str, case_id: int) -> Iterator[Fault]:
    try:
        content = description(store, file)
    except DAMAGE as error:
        yield Fault(Check.FILES, file, f"cannot be read: {error}")
        return
    if content.get("case_id") != case_id:
        problem = f"case_id is {quoted(content.get('case_id'))}: must be {case_id}, as in its name"
        yield Fault(Check.FILES, file, problem)
    if not (isinstance(content.get("error"), str) and content["error"]):
        yield Fault(Check.FILES, file, "has no error: it must say why the case failed")
