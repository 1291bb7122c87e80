"""Where things lie in a library."""

import re
from typing import NamedTuple

from fwdecg.storage import Store

CASES, QUARANTINE = "cases", "quarantine"
SPOOL = ".spool"  # cases whose part is not whole yet; readers of Parquet folders skip dotted names
MANIFEST, STATISTICS, CARD = "manifest.json", "statistics.json", "README.md"

_PART_NAME = re.compile(r"cases-(\d{6,})-(\d{6,})\.parquet")
_CASE_NAME = re.compile(r"case-(\d{6,})\.\w+")


class Part(NamedTuple):
    """The cases first <= id < stop, which share a file."""

    first: int
    stop: int

    @property
    def file(self) -> str:
        """Path of the part inside the library."""
        return f"{CASES}/cases-{self.first:06d}-{self.stop:06d}.parquet"

    @property
    def case_ids(self) -> range:
        """The ids of its cases."""
        return range(self.first, self.stop)


def published_parts(store: Store) -> list[Part]:
    """The parts that a library already holds, by first case."""
    matches = (_PART_NAME.fullmatch(name) for name in store.sizes(CASES))
    return sorted(Part(int(m[1]), int(m[2])) for m in matches if m)


def spooled_cases(store: Store) -> set[int]:
    """The cases that are simulated and wait for their part."""
    return _cases_in(store, SPOOL)


def quarantined_cases(store: Store) -> set[int]:
    """The cases that failed."""
    return _cases_in(store, QUARANTINE)


def spool_file(case_id: int) -> str:
    """Path of a case that waits for its part."""
    return f"{SPOOL}/case-{case_id:06d}.arrow"


def quarantine_file(case_id: int) -> str:
    """Path of a quarantined case's record inside the library."""
    return f"{QUARANTINE}/case-{case_id:06d}.json"


def _cases_in(store: Store, folder: str) -> set[int]:
    matches = (_CASE_NAME.fullmatch(name) for name in store.sizes(folder))
    return {int(m[1]) for m in matches if m}
