"""Where things lie in a library."""

import re
from typing import NamedTuple

from fwdecg.runtime.storage import Store

CASES_FOLDER, QUARANTINE_FOLDER = "cases", "quarantine"
PENDING_FOLDER = (
    ".spool"  # cases whose part is not whole yet; readers of Parquet folders skip dotted names
)
MANIFEST, STATISTICS, DATA_CARD = "manifest.json", "statistics.json", "README.md"

_PART_NAME = re.compile(r"cases-(\d{6,})-(\d{6,})\.parquet", re.ASCII)
_CASE_NAME = re.compile(r"case-(\d{6,})\.\w+", re.ASCII)


class Part(NamedTuple):
    """The cases first <= id < stop, which share a file."""

    first: int
    stop: int

    @property
    def file(self) -> str:
        """Path of the part inside the library."""
        return f"{CASES_FOLDER}/cases-{self.first:06d}-{self.stop:06d}.parquet"

    @property
    def case_ids(self) -> range:
        """The ids of its cases."""
        return range(self.first, self.stop)


def published_parts(store: Store) -> list[Part]:
    """The parts that a library already holds, by first case."""
    found = (part_named(name) for name in store.sizes(CASES_FOLDER))
    return sorted(part for part in found if part)


def part_named(name: str) -> Part | None:
    """The part whose file has a name; None if no part's has."""
    match = _PART_NAME.fullmatch(name)
    return Part(int(match[1]), int(match[2])) if match else None


def pending_cases(store: Store) -> set[int]:
    """The cases that are simulated and wait for their part."""
    return _cases_in(store, PENDING_FOLDER)


def quarantined_cases(store: Store) -> set[int]:
    """The cases that failed."""
    return _cases_in(store, QUARANTINE_FOLDER)


def pending_file(case_id: int) -> str:
    """Path of a case that waits for its part."""
    return f"{PENDING_FOLDER}/case-{case_id:06d}.arrow"


def quarantine_file(case_id: int) -> str:
    """Path of a quarantined case's record inside the library."""
    return f"{QUARANTINE_FOLDER}/case-{case_id:06d}.json"


def case_named(name: str) -> int | None:
    """The case whose own file, spooled or quarantined, has a name; None if no case's has."""
    match = _CASE_NAME.fullmatch(name)
    return int(match[1]) if match else None


def _cases_in(store: Store, folder: str) -> set[int]:
    found = (case_named(name) for name in store.sizes(folder))
    return {case_id for case_id in found if case_id is not None}
