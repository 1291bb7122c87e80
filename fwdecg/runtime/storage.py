"""Where results are kept: files appear whole or not at all.

A store is a folder, or a prefix of an object store such as `s3://bucket/prefix`. pyarrow reads the
URI, fsspec those that pyarrow does not know; keys and endpoint come from the URI's query
(`?endpoint_override=http://host:port`) or from the environment, as with every tool of that cloud.
"""

import json
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import fs

from fwdecg.errors import ConfigError, ResultError

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

STAGING = ".staging"
SMALL_OBJECT = 4 * 2**20  # bytes; what S3 takes in one request
_PYARROW = {"file", "s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss"}
CONFIG_FILE, METRICS_FILE, REPORT_FILE = "config.json", "metrics.json", "report.txt"

# A store that does not answer is asked again after these times, two minutes in all.
RETRY_DELAYS_S = (1, 2, 4, 8, 15, 30, 60)
# User and password or keys in a URI.
_KEYS = re.compile(r"(?<=://)[^/@]*@")
# What waiting does not help.
PERMANENT_ERRORS = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError)


@dataclass(frozen=True)
class Store:
    """A folder or a prefix of an object store. Files are named by their path inside it.

    Attributes:
        root: absolute path, or URI.
    """

    root: str

    @classmethod
    def at(cls, place: "str | Path | Store") -> "Store":
        """The store at a path or URI.

        Raises:
            ConfigError: the URI is of an unknown kind, or the path in the home of an unknown user.
        """
        if isinstance(place, Store):
            return place
        if "://" not in str(place):
            return cls(str(absolute_path(place)))
        store = cls(str(place))
        _ = store.filesystem
        return store

    @property
    def filesystem(self) -> fs.FileSystem:
        """As pyarrow sees it."""
        return _open(self.root)[0]

    @property
    def folder(self) -> Path | None:
        """The folder, if it is one."""
        return Path(self.path()) if isinstance(self.filesystem, fs.LocalFileSystem) else None

    def path(self, file: str = "") -> str:
        """Where a file lies in `filesystem`."""
        return f"{_open(self.root)[1]}/{file}".rstrip("/")

    def label(self, file: str = "") -> str:
        """Where a file lies, for people: without the keys that a URI may hold."""
        return f"{_hidden(self.root).rstrip('/')}/{file}".rstrip("/")

    def exists(self, file: str = "") -> bool:
        """True if there is such a file or folder."""
        return self._info(file).type != fs.FileType.NotFound

    def size(self, file: str) -> int | None:
        """Bytes of a file; None if there is none."""
        info = self._info(file)
        return info.size if info.type == fs.FileType.File else None

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Bytes of each file right inside a folder, by name; empty if there is no such folder."""
        inside = fs.FileSelector(self.path(folder), allow_not_found=True)
        found = self.filesystem.get_file_info(inside)
        return {info.base_name: info.size for info in found if info.type == fs.FileType.File}

    def is_empty(self) -> bool:
        """True if it holds no file or folder but what interrupted writers left behind."""
        inside = fs.FileSelector(self.path(), allow_not_found=True)
        found = self.filesystem.get_file_info(inside)
        return all(info.base_name in ("", STAGING) for info in found)

    def read(self, file: str) -> pa.Buffer:
        """The content of a file.

        Raises:
            FileNotFoundError: there is none.
        """
        with self.open(file) as stream:
            return stream.read_buffer()

    def open(self, file: str) -> pa.NativeFile:
        """A file to be read at any place.

        Raises:
            FileNotFoundError: there is none.
        """
        return self.filesystem.open_input_file(self.path(file))

    def publish(self, file: str, content: bytes | pa.Buffer | str) -> None:
        """Make a file appear at once: readers see the old one, or none, or the whole new one.

        So it is too if two writers race. In a folder it is written aside, flushed, and renamed; an
        object appears when its upload is complete.

        Raises:
            OSError: it could not be written.
        """
        held = content.encode() if isinstance(content, str) else content
        if self.folder is not None:
            self.publish_with(file, lambda path: path.write_bytes(held))
            return
        filesystem, path = _open(self.root, delayed=len(held) <= SMALL_OBJECT)
        with filesystem.open_output_stream(f"{path}/{file}") as stream:
            stream.write(held)
        # A stream is closed, and what it holds uploaded, even if writing to it failed.
        if len(held) > SMALL_OBJECT and self.size(file) != len(held):
            raise OSError(f"{self.label(file)}: its upload is not complete")

    def publish_with(self, file: str, write: Callable[[Path], object]) -> None:
        """Make a file appear at once with what `write` writes to the path it is given."""
        folder = self.folder
        if folder is not None:
            _publish_in_folder(folder, file, write)
            return
        with TemporaryDirectory() as aside:
            path = Path(aside) / Path(file).name
            write(path)
            self.publish(file, path.read_bytes())

    def publish_json(self, file: str, content: dict[str, Any]) -> None:
        """Make a JSON file appear at once."""
        self.publish(file, json.dumps(content, indent=2) + "\n")

    def read_json(self, file: str) -> dict[str, Any]:
        """The content of a JSON file.

        Raises:
            ResultError: it is missing or damaged.
        """
        place = self.label(file)
        try:
            content = json.loads(self.read(file).to_pybytes())
        except FileNotFoundError as error:
            raise ResultError(
                f"{place} is missing: this is not a finished result; run the job that makes it "
                "again"
            ) from error
        except ValueError as error:
            raise ResultError(
                f"{place} is damaged ({error}); delete it and run the job that makes it again"
            ) from error
        if not isinstance(content, dict):
            raise ResultError(f"{place} is damaged; delete it and run the job that makes it")
        return content

    def remove(self, file: str) -> None:
        """Delete a file, if it is there."""
        try:
            self.filesystem.delete_file(self.path(file))
        except FileNotFoundError:
            return

    def remove_folder(self, folder: str) -> None:
        """Delete a folder with all it holds, if it is there."""
        self.filesystem.delete_dir_contents(self.path(folder), missing_dir_ok=True)
        if self.exists(folder):
            self.filesystem.delete_dir(self.path(folder))

    def clear_staging(self) -> None:
        """Remove what interrupted writers left behind."""
        if self.folder is not None:
            shutil.rmtree(self.folder / STAGING, ignore_errors=True)

    def _info(self, file: str) -> fs.FileInfo:
        return self.filesystem.get_file_info(self.path(file))


def absolute_path(path: str | Path) -> Path:
    """A path from the root, with the home folder in place of a leading `~` or `~user`.

    Raises:
        ConfigError: there is no such user.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise ConfigError(
            f"{path}: must start with a home folder that there is; give the whole path"
        ) from error


def retry_io(action: Callable[[], Answer]) -> Answer:
    """What an action on a store returns, tried again while the store has a passing trouble.

    Such as: a full disk, a server that does not answer, a stale handle of a network folder.

    Raises:
        OSError: the trouble lasts, or waiting would not help.
    """
    for wait_s in RETRY_DELAYS_S:
        try:
            return action()
        except PERMANENT_ERRORS:
            raise
        except OSError as error:
            logger.warning("%s; trying again in %g s", error, wait_s)
            time.sleep(wait_s)
    return action()


@cache
def _open(root: str, *, delayed: bool = False) -> tuple[fs.FileSystem, str]:
    """The file system of a path or URI, and the path in it.

    Where an upload's start is `delayed`, a small object takes S3 one request instead of three.
    """
    if "://" not in root:
        return fs.LocalFileSystem(), root
    scheme, _, _ = root.partition("://")
    if scheme not in _PYARROW:
        return _by_fsspec(root)
    uri = f"{root}{'&' if '?' in root else '?'}allow_delayed_open=true"
    try:
        filesystem, path = fs.FileSystem.from_uri(uri if delayed and scheme == "s3" else root)
    except (pa.ArrowInvalid, OSError) as error:
        reason = _KEYS.sub("", str(error))
        raise ConfigError(f"{_hidden(root)}: not a place that can be opened ({reason})") from error
    return filesystem, path.rstrip("/")


def _by_fsspec(uri: str) -> tuple[fs.FileSystem, str]:
    import fsspec  # noqa: PLC0415  # most places do without

    try:
        # Listings that are kept would not show what other workers leave.
        found, path = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    except (ValueError, ImportError) as error:
        raise ConfigError(
            f"{_hidden(uri)}: neither pyarrow nor fsspec can open it ({error})"
        ) from error
    return fs.PyFileSystem(fs.FSSpecHandler(found)), path.rstrip("/")


def _hidden(uri: str) -> str:
    """A path or URI without the keys that it may hold."""
    return _KEYS.sub("", uri.partition("?")[0])


def _publish_in_folder(folder: Path, file: str, write: Callable[[Path], object]) -> None:
    target, aside = folder / file, folder / STAGING / f"{uuid.uuid4().hex}-{Path(file).name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    aside.parent.mkdir(parents=True, exist_ok=True)
    try:
        write(aside)
        with aside.open("rb") as handle:
            os.fsync(handle.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
