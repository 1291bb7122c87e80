"""A place belongs to one configuration, which lies in it from its first use on."""

import json
from typing import Any

from fwdecg.config import differing_keys
from fwdecg.errors import ResultError
from fwdecg.runtime.storage import CONFIG_FILE, Store


def record_owner(store: Store, asked: dict[str, Any], section: str = "") -> None:
    """Leave a configuration in a new place; refuse a place that has another one.

    Args:
        store: the place.
        asked: the configuration as plain values.
        section: of a preset that holds the keys, for the message; empty if they name it.

    Raises:
        ResultError: the place has another configuration, or files but none, or is read-only.
    """
    asked = json.loads(json.dumps(asked))  # as it is read back, with lists for tuples
    if store.exists(CONFIG_FILE):
        differing = differing_keys(store.read_json(CONFIG_FILE), asked)
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
        store.publish_json(CONFIG_FILE, asked)
    except OSError as error:
        raise ResultError(
            f"{store.label()} cannot be written: {error.strerror or error}; choose another"
        ) from error
