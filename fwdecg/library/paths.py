"""Names of the files and folders of a library."""

import re
from typing import NamedTuple

from fwdecg.runtime.storage import Store

CASES_FOLDER, QUARANTINE_FOLDER = "cases", "quarantine"
# Simulated cases that wait for the other cases of their part. Readers of Parquet folders skip
# names that start with a dot.
PENDING_FOLDER = ".spool"
MANIFEST, STATISTICS, DATA_CARD = "manifest.json", "statistics.json", "README.md"

_PART_NAME = re.compile(r"cases-(\d{6,})-(\d{6,})\.parquet", re.ASCII)
_CASE_NAME = re.compile(r"case-(\d{6,})\.\w+", re.ASCII)


class Part(NamedTuple):
    """Cases with first <= id < stop, stored in one file."""

    first: int
    stop: int

    @property
    def file(self) -> str:
        """Path of the part within the library."""
        return f"{CASES_FOLDER}/cases-{self.first:06d}-{self.stop:06d}.parquet"

    @property
    def case_ids(self) -> range:
        """Case ids of the part."""
        return range(self.first, self.stop)


def published_parts(store: Store) -> list[Part]:
    """Return the published parts of a library, sorted by case id."""
    found = (parse_part_name(name) for name in store.sizes(CASES_FOLDER))
    return sorted(part for part in found if part)


def parse_part_name(name: str) -> Part | None:
    """Return the part whose file has this name; None if it is not the name of a part."""
    match = _PART_NAME.fullmatch(name)
    return Part(int(match[1]), int(match[2])) if match else None


def stored_case_ids(store: Store, folder: str) -> set[int]:
    """Return the ids of the cases in a folder, `PENDING_FOLDER` or `QUARANTINE_FOLDER`."""
    found = (parse_case_name(name) for name in store.sizes(folder))
    return {case_id for case_id in found if case_id is not None}


def pending_file(case_id: int) -> str:
    """Return the path, within the library, of a case that waits for its part."""
    return f"{PENDING_FOLDER}/case-{case_id:06d}.arrow"


def quarantine_file(case_id: int) -> str:
    """Return the path, within the library, of the record of a failed case."""
    return f"{QUARANTINE_FOLDER}/case-{case_id:06d}.json"


def parse_case_name(name: str) -> int | None:
    """Return the case id in the name of a pending or quarantine file; None for other names."""
    match = _CASE_NAME.fullmatch(name)
    return int(match[1]) if match else None
