"""Checks of the files that describe a library: manifest, configuration, statistics, data card."""

from typing import Any, NamedTuple

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.config import differing_keys, from_tree, identity_hash, identity_tree
from fwdecg.errors import ConfigError, LibraryError
from fwdecg.library.check.fault import DAMAGE, Check, Fault, ReportFault, quoted
from fwdecg.library.paths import DATA_CARD, MANIFEST, STATISTICS
from fwdecg.library.reader import REQUIRED_KEYS
from fwdecg.library.schema import SCHEMA_VERSION
from fwdecg.runtime.storage import CONFIG_FILE, Store

# Parts take about 150 bytes each and quarantined cases 10: enough for millions of cases.
LARGEST_DESCRIPTION_BYTES = 2**28
REPLACE = "ask the authors for an intact copy, or build the library again"


class Descriptions(NamedTuple):
    """Content of a library's descriptions.

    Attributes:
        manifest: content of manifest.json; empty if it is unreadable.
        config: configuration in the manifest; None if it is invalid.
        statistics: content of statistics.json; None if it is unreadable.
    """

    manifest: dict[str, Any]
    config: LibraryConfig | None
    statistics: dict[str, Any] | None


def check_descriptions(store: Store, report: ReportFault) -> Descriptions:
    """Check that all descriptions are readable and agree with each other."""
    manifest = _readable(store, MANIFEST, report)
    config = None if manifest is None else _check_manifest(manifest, report)
    statistics = _readable(store, STATISTICS, report)
    _check_card(store, manifest or {}, report)
    _check_config_copy(store, manifest or {}, report)
    return Descriptions(manifest or {}, config, statistics)


def read_description(store: Store, file: str) -> dict[str, Any]:
    """Return the content of a JSON file.

    Raises:
        ResultError: the file is missing or damaged.
        LibraryError: the file is too large.
    """
    _require_moderate_size(store, file)
    return store.read_json(file)


def _require_moderate_size(store: Store, file: str) -> None:
    size = store.size(file)
    if size is None:
        raise LibraryError(f"{file} is missing or not a regular file")
    if size > LARGEST_DESCRIPTION_BYTES:
        raise LibraryError(f"{file} has {size} bytes: the limit is {LARGEST_DESCRIPTION_BYTES}")


def _readable(store: Store, file: str, report: ReportFault) -> dict[str, Any] | None:
    try:
        return read_description(store, file)
    except DAMAGE as error:
        report(_fault(file, f"cannot be read: {error}"))
        return None


def _check_manifest(manifest: dict[str, Any], report: ReportFault) -> LibraryConfig | None:
    missing = sorted((REQUIRED_KEYS | {"seed", "quarantined"}) - manifest.keys())
    if missing:
        report(_fault(MANIFEST, f"lacks {', '.join(missing)}"))
    found = manifest.get("schema_version")
    if found != SCHEMA_VERSION:
        report(_fault(MANIFEST, f"schema_version is {quoted(found)}: must be {SCHEMA_VERSION}"))
    tree, cases = manifest.get("config"), manifest.get("cases")
    if not isinstance(tree, dict):
        report(_fault(MANIFEST, f"config is {quoted(tree)}: must be a JSON object"))
        return None
    _check_provenance(manifest, tree, report)
    try:
        config = from_tree(LibraryConfig, tree | {"cases": cases})
    except (ConfigError, ArithmeticError) as error:
        report(_fault(MANIFEST, f"config is invalid: {quoted(error)}"))
        return None
    added = differing_keys(tree, identity_tree(config))
    if added:
        problem = f"config lacks {', '.join(added)}, so the check uses the default values"
        report(_fault(MANIFEST, problem, "check it with the version of fwdecg that built it"))
    return config


def _check_provenance(manifest: dict[str, Any], tree: dict[str, Any], report: ReportFault) -> None:
    """Compare the stored configuration, without defaults, with the stored hash and seed."""
    expected, found = identity_hash(tree), manifest.get("config_hash")
    if found != expected:
        problem = f"config_hash is {quoted(found)}: the hash of config is {expected}"
        report(_fault(MANIFEST, problem))
    if manifest.get("seed") != tree.get("seed"):
        problem = f"seed is {quoted(manifest.get('seed'))}: config.seed is "
        report(_fault(MANIFEST, problem + quoted(tree.get("seed"))))


def _check_card(store: Store, manifest: dict[str, Any], report: ReportFault) -> None:
    try:
        _require_moderate_size(store, DATA_CARD)
        card = store.read(DATA_CARD).to_pybytes().decode()
    except DAMAGE as error:
        report(_fault(DATA_CARD, f"cannot be read: {error}"))
        return
    name = manifest.get("config_hash")
    if isinstance(name, str) and name not in card:
        report(_fault(DATA_CARD, f"does not mention config_hash {quoted(name)} of {MANIFEST}"))


def _check_config_copy(store: Store, manifest: dict[str, Any], report: ReportFault) -> None:
    """Compare the builder's copy of the configuration, which a published library may lack."""
    expected = manifest.get("config")
    if store.size(CONFIG_FILE) is None or not isinstance(expected, dict):
        return
    found = _readable(store, CONFIG_FILE, report)
    differing = differing_keys(found, expected) if found is not None else []
    if differing:
        report(_fault(CONFIG_FILE, f"differs from {MANIFEST} in {', '.join(differing)}"))


def _fault(file: str, problem: str, remedy: str = REPLACE) -> Fault:
    return Fault(Check.DESCRIPTIONS, file, problem, remedy)
