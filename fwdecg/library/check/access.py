"""Reading a library, of which nothing is known to be whole: all its file access is here.

A description that is larger than any library's is not taken into memory. A Parquet file that lies
about its own size inside its pages may still use up the memory.
"""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fwdecg.errors import FwdEcgError, LibraryError
from fwdecg.library.paths import CASES_FOLDER, MANIFEST
from fwdecg.runtime.storage import Store

# About 150 bytes a part and 10 a quarantined case: enough for millions of cases.
LARGEST_DESCRIPTION_BYTES = 2**28

READ_AHEAD_BYTES = 2**20  # of each column; otherwise a part's whole column would be in memory

# What damaged content raises in pyarrow, in its types that Ray Data adds, and in Python's decoders.
DAMAGE = (OSError, pa.ArrowException, ValueError, RecursionError, FwdEcgError)


def library_store(place: str | Path | Store) -> Store:
    """Where a library is, however damaged.

    Raises:
        LibraryError: nothing there looks like one.
    """
    store = Store.at(place)
    if not store.exists():
        raise LibraryError(f"{store.label()}: no such folder; give the folder that has {MANIFEST}")
    if not (store.exists(MANIFEST) or store.sizes(CASES_FOLDER)):
        raise LibraryError(
            f"{store.label()} is no library: it has neither {MANIFEST} nor {CASES_FOLDER}/; give "
            "the folder that has them"
        )
    return store


def sha256_of(store: Store, file: str) -> str:
    """The checksum of a file, read piece by piece."""
    found = hashlib.sha256()
    with store.open(file) as content:
        while piece := content.read(READ_AHEAD_BYTES):
            found.update(piece)
    return found.hexdigest()


def description(store: Store, file: str) -> dict[str, Any]:
    """The content of a JSON file.

    Raises:
        ResultError: it is missing or damaged.
        LibraryError: it is far too large.
    """
    _require_moderate(store, file)
    return store.read_json(file)


def text(store: Store, file: str) -> str:
    """The content of a text file; it must be one."""
    _require_moderate(store, file)
    return store.read(file).to_pybytes().decode()


def open_part(store: Store, file: str) -> pq.ParquetFile:
    """A part, whose rows are read when they are asked for, and no earlier."""
    return pq.ParquetFile(store.open(file), pre_buffer=False, buffer_size=READ_AHEAD_BYTES)


def _require_moderate(store: Store, file: str) -> None:
    size = store.size(file)
    if size is None:
        raise LibraryError(f"{file} is missing, or is no regular file")
    if size > LARGEST_DESCRIPTION_BYTES:
        raise LibraryError(
            f"{file} has {size} bytes: no more than {LARGEST_DESCRIPTION_BYTES} are read of one"
        )
