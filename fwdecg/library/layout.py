"""Where things lie in a library's folder."""

import re
from pathlib import Path
from typing import NamedTuple

CASES, QUARANTINE = "cases", "quarantine"
MANIFEST, STATISTICS, CARD = "manifest.json", "statistics.json", "README.md"

_PART_NAME = re.compile(r"cases-(\d{6,})-(\d{6,})\.parquet")


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
    names = (path.name for path in (root / CASES).glob("*.parquet"))
    matches = (_PART_NAME.fullmatch(name) for name in names)
    return sorted(Part(int(m[1]), int(m[2])) for m in matches if m)


def quarantine_file(case_id: int) -> str:
    """Path of a quarantined case's record inside the library."""
    return f"{QUARANTINE}/case-{case_id:06d}.json"
