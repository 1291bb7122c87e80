"""Each result folder records the configuration that owns it, from its first use on."""

import json
from typing import Any

from fwdecg.config import differing_keys
from fwdecg.errors import ResultError
from fwdecg.runtime.storage import CONFIG_FILE, Store


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
