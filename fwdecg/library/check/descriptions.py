"""The files that describe a library: manifest, configuration, statistics, data card."""

from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.config import differing_keys, from_tree, identity_hash, identity_tree
from fwdecg.errors import ConfigError
from fwdecg.library.check.access import DAMAGE, description, text
from fwdecg.library.check.fault import Check, Fault, quoted
from fwdecg.library.paths import DATA_CARD, MANIFEST, STATISTICS
from fwdecg.library.reader import REQUIRED_KEYS
from fwdecg.library.schema import SCHEMA_VERSION
from fwdecg.runtime.storage import CONFIG_FILE, Store

NOT_TRUSTED = "ask its makers, or build the library again"


class Described(NamedTuple):
    """What a library says of itself.

    Attributes:
        manifest: content of manifest.json, empty if it cannot be read.
        config: that it was built with, None if that is not valid.
        statistics: content of statistics.json, None if it cannot be read.
    """

    manifest: dict[str, Any]
    config: LibraryConfig | None
    statistics: dict[str, Any] | None


def check_descriptions(store: Store) -> Generator[Fault, None, Described]:
    """Whether all descriptions can be read and agree with each other."""
    manifest = yield from _readable(store, MANIFEST)
    config = None
    if manifest is not None:
        config = yield from _check_manifest(manifest)
    statistics = yield from _readable(store, STATISTICS)
    yield from _check_card(store, manifest or {})
    yield from _check_copy(store, manifest or {})
    return Described(manifest or {}, config, statistics)


def _readable(store: Store, file: str) -> Generator[Fault, None, dict[str, Any] | None]:
    try:
        return description(store, file)
    except DAMAGE as error:
        yield _fault(file, f"cannot be read: {error}")
        return None


def _check_manifest(manifest: dict[str, Any]) -> Generator[Fault, None, LibraryConfig | None]:
    missing = sorted((REQUIRED_KEYS | {"seed", "quarantined"}) - manifest.keys())
    if missing:
        yield _fault(MANIFEST, f"has no {', '.join(missing)}")
    found = manifest.get("schema_version")
    if found != SCHEMA_VERSION:
        yield _fault(MANIFEST, f"schema_version is {quoted(found)}: must be {SCHEMA_VERSION}")
    tree, cases = manifest.get("config"), manifest.get("cases")
    if not isinstance(tree, dict):
        yield _fault(MANIFEST, "config must be a section with keys of its own")
        return None
    yield from _check_provenance(manifest, tree)
    try:
        config = from_tree(LibraryConfig, tree | {"cases": cases})
    except (ConfigError, ArithmeticError) as error:
        yield _fault(MANIFEST, f"config is not valid: {quoted(error)}")
        return None
    added = differing_keys(tree, identity_tree(config))
    if added:
        yield _fault(
            MANIFEST,
            f"config has no {', '.join(added)}, as another version of fwdecg wrote it; their "
            "defaults are taken",
            "check it with the version that built it",
        )
    return config


def _check_provenance(manifest: dict[str, Any], tree: dict[str, Any]) -> Iterator[Fault]:
    """Configuration, hash and seed as they stand, before any default is filled in."""
    wanted, found = identity_hash(tree), manifest.get("config_hash")
    if found != wanted:
        yield _fault(
            MANIFEST,
            f"config_hash is {quoted(found)}, but config hashes to {wanted}: one was altered",
        )
    if manifest.get("seed") != tree.get("seed"):
        yield _fault(
            MANIFEST,
            f"seed is {quoted(manifest.get('seed'))}, but config.seed {quoted(tree.get('seed'))}",
        )


def _check_card(store: Store, manifest: dict[str, Any]) -> Iterator[Fault]:
    try:
        card = text(store, DATA_CARD)
    except DAMAGE as error:
        yield _fault(DATA_CARD, f"cannot be read: {error}")
        return
    name = manifest.get("config_hash")
    if isinstance(name, str) and name not in card:
        yield _fault(
            DATA_CARD, f"does not name configuration {quoted(name)}: it is another library's"
        )


def _check_copy(store: Store, manifest: dict[str, Any]) -> Generator[Fault, None, None]:
    """The builder's copy of the configuration; a library that was passed on may lack it."""
    wanted = manifest.get("config")
    if store.size(CONFIG_FILE) is None or not isinstance(wanted, dict):
        return
    found = yield from _readable(store, CONFIG_FILE)
    differing = differing_keys(found, wanted) if found is not None else []
    if differing:
        yield _fault(CONFIG_FILE, f"is unlike {MANIFEST} in {', '.join(differing)}")


def _fault(file: str, problem: str, remedy: str = NOT_TRUSTED) -> Fault:
    return Fault(Check.DESCRIPTIONS, file, problem, remedy)
