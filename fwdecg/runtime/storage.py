"""Storage of results in a folder or an object store. Every file appears complete or not at all.

An object store is addressed by a URI prefix such as `s3://bucket/prefix`. pyarrow opens the schemes
it knows, and fsspec opens all others. Credentials and endpoint come from the query of the URI
(`?endpoint_override=http://host:port`) or from the environment, as with the provider's own tools.
"""

import json
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import fs

from fwdecg.errors import ConfigError, ResultError

logger = logging.getLogger(__name__)

T = TypeVar("T")

CONFIG_FILE, METRICS_FILE, REPORT_FILE = "config.json", "metrics.json", "report.txt"
STAGING = ".staging"  # folder of files that are being written
SMALL_OBJECT_BYTES = 4 * 2**20  # S3 takes an object of this size in one request

RETRY_DELAYS_S = (1, 2, 4, 8, 15, 30, 60)  # two minutes in all
# Waiting does not help against these errors, so they are not retried.
PERMANENT_ERRORS = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError)

_PYARROW_SCHEMES = {"file", "s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss"}
_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")  # user and password, or keys, in a URI


@dataclass(frozen=True)
class Store:
    """A folder, or a prefix of an object store. Files are named by their path inside it.

    Attributes:
        root: absolute path or URI.
    """

    root: str

    @classmethod
    def at(cls, location: "str | Path | Store") -> "Store":
        """Return the store at a path or URI.

        Raises:
            ConfigError: the scheme of the URI is unknown, or the path starts with the home folder
                of an unknown user.
        """
        if isinstance(location, Store):
            return location
        if "://" not in str(location):
            return cls(str(absolute_path(location)))
        store = cls(str(location))
        _ = store.filesystem  # reports a bad URI now
        return store

    @property
    def filesystem(self) -> fs.FileSystem:
        """Pyarrow file system of the store."""
        return _open(self.root)[0]

    @property
    def folder(self) -> Path | None:
        """Folder of the store, or None for an object store."""
        return Path(self.path()) if isinstance(self.filesystem, fs.LocalFileSystem) else None

    def path(self, file: str = "") -> str:
        """Return the path of a file in `filesystem`."""
        return f"{_open(self.root)[1]}/{file}".rstrip("/")

    def label(self, file: str = "") -> str:
        """Return the path or URI of a file for messages, without credentials."""
        return f"{_without_credentials(self.root).rstrip('/')}/{file}".rstrip("/")

    def exists(self, file: str = "") -> bool:
        """Return whether a file or folder exists."""
        return self._info(file).type != fs.FileType.NotFound

    def size(self, file: str) -> int | None:
        """Return the size of a file in bytes, or None if it does not exist."""
        info = self._info(file)
        return info.size if info.type == fs.FileType.File else None

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Return the size in bytes of each file directly inside a folder, by name.

        The result is empty if the folder does not exist.
        """
        entries = self._entries(folder)
        return {info.base_name: info.size for info in entries if info.type == fs.FileType.File}

    def is_empty(self) -> bool:
        """Return whether the store contains nothing but leftovers of interrupted writers."""
        return all(info.base_name in ("", STAGING) for info in self._entries())

    def read(self, file: str) -> pa.Buffer:
        """Return the content of a file.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        with self.open(file) as stream:
            return stream.read_buffer()

    def open(self, file: str) -> pa.NativeFile:
        """Open a file for random access.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        return self.filesystem.open_input_file(self.path(file))

    def publish(self, file: str, content: bytes | pa.Buffer | str) -> None:
        """Write a file atomically: readers see the old content or all of the new content.

        This also holds if several processes write the file at once. In a folder, the content is
        written to a temporary file, flushed to disk and renamed. An object appears when its upload
        is complete.

        Raises:
            OSError: the file could not be written.
        """
        data = content.encode() if isinstance(content, str) else content
        if self.folder is not None:
            self.publish_with(file, lambda path: path.write_bytes(data))
            return
        small = len(data) <= SMALL_OBJECT_BYTES
        filesystem, path = _open(self.root, delayed=small)
        with filesystem.open_output_stream(f"{path}/{file}") as stream:
            stream.write(data)
        # Leaving the block completes the upload even if `write` failed half-way.
        if not small and self.size(file) != len(data):
            raise OSError(f"{self.label(file)}: its upload is incomplete")

    def publish_with(self, file: str, write: Callable[[Path], object]) -> None:
        """Call `write` with a temporary path and publish the file it creates there atomically."""
        if self.folder is not None:
            _publish_in_folder(self.folder, file, write)
            return
        with TemporaryDirectory() as temporary:
            path = Path(temporary) / Path(file).name
            write(path)
            self.publish(file, path.read_bytes())

    def publish_json(self, file: str, content: dict[str, Any]) -> None:
        """Publish a JSON file atomically."""
        self.publish(file, json.dumps(content, indent=2) + "\n")

    def read_json(self, file: str) -> dict[str, Any]:
        """Return the content of a JSON file.

        Raises:
            ResultError: the file is missing or damaged.
        """
        label = self.label(file)
        try:
            content = json.loads(self.read(file).to_pybytes())
        except FileNotFoundError as error:
            raise ResultError(
                f"{label} is missing: this is not a finished result; run the job that makes it "
                "again"
            ) from error
        except ValueError as error:
            raise ResultError(
                f"{label} is damaged ({error}); delete it and run the job that makes it again"
            ) from error
        if not isinstance(content, dict):
            raise ResultError(
                f"{label} is damaged (not a JSON object); delete it and run the job that makes it "
                "again"
            )
        return content

    def remove(self, file: str) -> None:
        """Delete a file if it exists."""
        try:
            self.filesystem.delete_file(self.path(file))
        except FileNotFoundError:
            return

    def remove_folder(self, folder: str) -> None:
        """Delete a folder and its content if it exists."""
        self.filesystem.delete_dir_contents(self.path(folder), missing_dir_ok=True)
        if self.exists(folder):
            self.filesystem.delete_dir(self.path(folder))

    def clear_staging(self) -> None:
        """Delete the temporary files that interrupted writers left behind."""
        if self.folder is not None:
            shutil.rmtree(self.folder / STAGING, ignore_errors=True)

    def _info(self, file: str) -> fs.FileInfo:
        return self.filesystem.get_file_info(self.path(file))

    def _entries(self, folder: str = "") -> list[fs.FileInfo]:
        selector = fs.FileSelector(self.path(folder), allow_not_found=True)
        return self.filesystem.get_file_info(selector)


def absolute_path(path: str | Path) -> Path:
    """Return the absolute path, with a leading `~` or `~user` expanded.

    Raises:
        ConfigError: the user does not exist.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise ConfigError(
            f"{path}: must start with an existing home folder; give the whole path"
        ) from error


@contextmanager
def errors_that_name(path: Path) -> Iterator[None]:
    """Add the path to I/O errors that name no file, such as those of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def is_transient(error: BaseException) -> bool:
    """Return whether an I/O error may disappear, such as a full disk or an unreachable server."""
    return isinstance(error, OSError) and not isinstance(error, PERMANENT_ERRORS)


def retry_io(action: Callable[[], T]) -> T:
    """Return the result of an I/O action; retry it for two minutes after transient errors.

    Raises:
        OSError: the error persists or is permanent.
    """
    for delay_s in RETRY_DELAYS_S:
        try:
            return action()
        except OSError as error:
            if not is_transient(error):
                raise
            logger.warning("%s; retrying in %g s", error, delay_s)
            time.sleep(delay_s)
    return action()


@cache
def _open(root: str, *, delayed: bool = False) -> tuple[fs.FileSystem, str]:
    """Return the file system of a path or URI, and the path inside it.

    Args:
        root: absolute path or URI.
        delayed: defer the start of an upload until data is written. S3 then takes a small object
            in one request instead of three.
    """
    if "://" not in root:
        return fs.LocalFileSystem(), root
    scheme, _, _ = root.partition("://")
    if scheme not in _PYARROW_SCHEMES:
        return _open_with_fsspec(root)
    delayed_uri = f"{root}{'&' if '?' in root else '?'}allow_delayed_open=true"
    try:
        filesystem, path = fs.FileSystem.from_uri(
            delayed_uri if delayed and scheme == "s3" else root
        )
    except (pa.ArrowInvalid, OSError) as error:
        reason = _CREDENTIALS.sub("", str(error))
        raise ConfigError(f"{_without_credentials(root)} cannot be opened ({reason})") from error
    return filesystem, path.rstrip("/")


def _open_with_fsspec(uri: str) -> tuple[fs.FileSystem, str]:
    import fsspec  # noqa: PLC0415  # few stores need it

    try:
        # A cached listing would hide files that other workers write.
        found, path = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    except (ValueError, ImportError) as error:
        raise ConfigError(
            f"{_without_credentials(uri)}: neither pyarrow nor fsspec can open it ({error})"
        ) from error
    return fs.PyFileSystem(fs.FSSpecHandler(found)), path.rstrip("/")


def _without_credentials(uri: str) -> str:
    """Remove the parts of a URI that may contain credentials; return a path unchanged."""
    if "://" not in uri:
        return uri
    return _CREDENTIALS.sub("", uri.partition("?")[0])


def _publish_in_folder(folder: Path, file: str, write: Callable[[Path], object]) -> None:
    target = folder / file
    temporary = folder / STAGING / f"{uuid.uuid4().hex}-{Path(file).name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary.parent.mkdir(parents=True, exist_ok=True)
    try:
        with errors_that_name(target):
            write(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
