"""Results on disk: files appear whole or not at all, a folder belongs to one configuration."""

import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fwdecg.config import differing_keys
from fwdecg.errors import ResultError

STAGING = ".staging"
CONFIG, METRICS = "config.json", "metrics.json"


def publish(root: Path, file: str, write: Callable[[Path], object]) -> None:
    """Make `root / file` appear at once with what `write` writes to the path it is given.

    The file is written in a staging folder of the same file system, flushed, and renamed: a reader
    sees the old file, or none, or the whole new one, and so it is if two writers race.
    """
    target, aside = root / file, root / STAGING / f"{uuid.uuid4().hex}-{Path(file).name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    aside.parent.mkdir(parents=True, exist_ok=True)
    try:
        write(aside)
        with aside.open("rb") as handle:
            os.fsync(handle.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def publish_json(root: Path, file: str, content: dict[str, Any]) -> None:
    """Make a JSON file appear at once."""
    text = json.dumps(content, indent=2) + "\n"
    publish(root, file, lambda path: path.write_text(text, encoding="utf-8"))


def read_json(root: Path, file: str) -> dict[str, Any]:
    """The content of a JSON file.

    Raises:
        ResultError: it is missing or damaged.
    """
    try:
        content = json.loads((root / file).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ResultError(
            f"{root / file} is missing: the folder is not a finished result; run the job that "
            "makes it again"
        ) from error
    except ValueError as error:
        raise ResultError(
            f"{root / file} is damaged ({error}); delete it and run the job that makes it again"
        ) from error
    if not isinstance(content, dict):
        raise ResultError(f"{root / file} is damaged; delete it and run the job that makes it")
    return content


def claim(root: Path, asked: dict[str, Any], section: str) -> None:
    """Leave a configuration in a new folder; refuse a folder that has another one.

    Args:
        root: the folder, made if it is not there.
        asked: the configuration as plain values.
        section: of a preset that holds the keys, for the message; empty if they name it.

    Raises:
        ResultError: the folder has another configuration, or files but none.
    """
    if (root / CONFIG).exists():
        differing = differing_keys(read_json(root, CONFIG), asked)
        if differing:
            names = ", ".join(f"{section}.{name}".lstrip(".") for name in differing)
            raise ResultError(
                f"{root} was made with another {names}; choose another path or delete the folder"
            )
        return
    try:
        if root.is_dir() and any(entry.name != STAGING for entry in root.iterdir()):
            raise ResultError(f"{root} is not empty and has no {CONFIG}; choose another path")
        publish_json(root, CONFIG, asked)
    except OSError as error:
        raise ResultError(f"{root} cannot be written: {error.strerror}; choose another") from error


def clear_staging(root: Path) -> None:
    """Remove what interrupted writers left behind."""
    shutil.rmtree(root / STAGING, ignore_errors=True)
