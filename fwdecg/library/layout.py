"""Where things lie in a library's folder."""

import re
from pathlib import Path
from typing import NamedTuple

CASES, QUARANTINE = "cases", "quarantine"
MANIFEST, STATISTICS, CARD = "manifest.json", "statistics.json", "README.md"

_PART_NAME = re.compile(r"cases-(\d{6,})-(\d{6,})\.parquet", re.ASCII)
_QUARANTINE_NAME = re.compile(r"case-(\d{6,})\.json", re.ASCII)


class Part(NamedTuple):
    """The cases first <= id < stop, which one task simulates into one file."""

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


def published_parts(root: Path) -> list[Part]:
    """The parts that a library already holds, by first case."""
    found = (part_named(path.name) for path in (root / CASES).glob("*.parquet"))
    return sorted(part for part in found if part)


def part_named(name: str) -> Part | None:
    """The part whose file has a name; None if no part's has."""
    match = _PART_NAME.fullmatch(name)
    return Part(int(match[1]), int(match[2])) if match else None


def quarantine_file(case_id: int) -> str:
    """Path of a quarantined case's record inside the library."""
    return f"{QUARANTINE}/case-{case_id:06d}.json"


def quarantined_case(name: str) -> int | None:
    """The case whose quarantine record has a name; None if no case's has."""
    match = _QUARANTINE_NAME.fullmatch(name)
    return int(match[1]) if match else None
