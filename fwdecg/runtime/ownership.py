"""Each result folder records the configuration that owns it, and can be locked by one process."""

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fwdecg.config import differing_keys
from fwdecg.errors import ResultError
from fwdecg.runtime.storage import CONFIG_FILE, Store

# The processes of a killed run may hold the lock for a moment longer.
LOCK_TIMEOUT_S, LOCK_POLL_S = 10.0, 0.25


def record_owner(store: Store, config: dict[str, Any], section: str = "") -> None:
    """Write the configuration into an empty store, or check that the store already has it.

    Args:
        store: store of the results.
        config: configuration as plain values.
        section: preset section of the keys. The error message puts it before their names. It is
            empty if the keys of `config` already start with their section.

    Raises:
        ResultError: the store belongs to another configuration, contains files but no
            configuration, or is read-only.
    """
    config = json.loads(json.dumps(config))  # tuples become lists, as in the stored file
    if store.exists(CONFIG_FILE):
        differing = differing_keys(store.read_json(CONFIG_FILE), config)
        if differing:
            names = ", ".join(f"{section}.{name}".lstrip(".") for name in differing)
            raise ResultError(
                f"{store.label()} was made with another {names}; choose another path or delete it"
            )
        return
    try:
        if not store.is_empty():
            raise ResultError(
                f"{store.label()} is not empty and has no {CONFIG_FILE}; choose another path"
            )
        store.publish_json(CONFIG_FILE, config)
    except OSError as error:
        raise ResultError(
            f"{store.label()} is not writable: {error.strerror or error}; choose another path"
        ) from error


@contextmanager
def exclusive_use(store: Store, work: str) -> Iterator[None]:
    """Let no other process work in a folder at the same time.

    The lock is on the file that `record_owner` wrote. The kernel releases it when the process ends,
    however it ends. A file system that does not support locks is used without.

    Args:
        store: folder of the results.
        work: name of the work for the error message, such as "training".

    Raises:
        ResultError: another process works in the folder.
    """
    assert store.folder is not None, "an object store has no locks"
    with (store.folder / CONFIG_FILE).open("r+") as file:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while not _try_lock(file.fileno()):
            if time.monotonic() > deadline:
                raise ResultError(
                    f"{store.label()}: another {work} is running in this folder; wait for it to "
                    "end, or choose another path"
                )
            time.sleep(LOCK_POLL_S)
        yield


def _try_lock(descriptor: int) -> bool:
    """Lock a file for this process; return False if another process has locked it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # the file system does not support locks
        return True
    return True
