"""Reading a library's folder, of which nothing is known to be whole: all its file access is here.

A description that is larger than any library's is not taken into memory. A Parquet file that lies
about its own size inside its pages may still use up the memory.
"""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fwdecg.errors import FwdEcgError, LibraryError
from fwdecg.library.layout import CASES, MANIFEST
from fwdecg.storage import read_json

# About 150 bytes a part and 10 a quarantined case: enough for millions of cases.
LARGEST_DESCRIPTION_BYTES = 2**28

READ_AHEAD_BYTES = 2**20  # of each column; otherwise a part's whole column would be in memory

# What damaged content raises in pyarrow and in Python's decoders.
DAMAGE = (OSError, pa.ArrowException, UnicodeDecodeError, RecursionError, FwdEcgError)


def library_folder(path: str | Path) -> Path:
    """The folder of a library, however damaged.

    Raises:
        LibraryError: nothing there looks like one.
    """
    root = Path(path).absolute()
    if not root.is_dir():
        raise LibraryError(f"{path}: no such folder; give the folder that has {MANIFEST}")
    if not ((root / MANIFEST).exists() or (root / CASES).is_dir()):
        raise LibraryError(
            f"{path} is no library: it has neither {MANIFEST} nor {CASES}/; give the folder that "
            "has them"
        )
    return root


def names_in(root: Path, folder: str) -> list[str]:
    """The names in a folder of the library, sorted; none if it is not there."""
    path = root / folder
    return sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []


def size_bytes(root: Path, file: str) -> int | None:
    """The size of a regular file; None if there is none."""
    path = root / file
    return path.stat().st_size if path.is_file() else None


def sha256_of(root: Path, file: str) -> str:
    """The checksum of a file, read piece by piece."""
    with (root / file).open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def description(root: Path, file: str) -> dict[str, Any]:
    """The content of a JSON file.

    Raises:
        ResultError: it is missing or damaged.
        LibraryError: it is far too large.
    """
    _require_moderate(root, file)
    return read_json(root, file)


def text(root: Path, file: str) -> str:
    """The content of a text file; it must be one."""
    _require_moderate(root, file)
    return (root / file).read_text(encoding="utf-8")


def open_part(root: Path, file: str) -> pq.ParquetFile:
    """A part, whose rows are read when they are asked for, and no earlier."""
    return pq.ParquetFile(root / file, pre_buffer=False, buffer_size=READ_AHEAD_BYTES)


def _require_moderate(root: Path, file: str) -> None:
    size = size_bytes(root, file)
    if size is None:
        raise LibraryError(f"{file} is missing, or is no regular file")
    if size > LARGEST_DESCRIPTION_BYTES:
        raise LibraryError(
            f"{file} has {size} bytes: no more than {LARGEST_DESCRIPTION_BYTES} are read of one"
        )
