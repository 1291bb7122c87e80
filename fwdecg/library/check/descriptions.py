"""Checks of the files that describe a library: manifest, configuration, statistics, data card."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.config import differing_keys, from_tree, identity_hash, identity_tree
from fwdecg.errors import ConfigError, LibraryError
from fwdecg.library.check.fault import DAMAGE, Check, ReportFault, ReportProblem, quoted
from fwdecg.library.paths import DATA_CARD, MANIFEST, STATISTICS
from fwdecg.library.reader import REQUIRED_KEYS
from fwdecg.library.schema import SCHEMA_VERSION
from fwdecg.runtime.storage import CONFIG_FILE, Store

# A manifest needs about 150 bytes per part and 10 per quarantined case. The limit therefore
# suffices for millions of cases.
LARGEST_DESCRIPTION_BYTES = 2**28
REPLACE = "ask the authors for an intact copy, or build the library again"

T = TypeVar("T")


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

    def report_problem(file: str, problem: str, remedy: str = REPLACE) -> None:
        report(Check.DESCRIPTIONS, file, problem, remedy)

    def read(file: str, load: Callable[[str], T]) -> T | None:
        return read_description(store, file, load, partial(report_problem, file))

    manifest, config = read(MANIFEST, store.read_json), None
    if manifest is not None:
        config = _check_manifest(manifest, partial(report_problem, MANIFEST))
    manifest = manifest or {}
    config_hash, tree = manifest.get("config_hash"), manifest.get("config")
    card = read(DATA_CARD, lambda file: store.read(file).to_pybytes().decode())
    if card is not None and isinstance(config_hash, str) and config_hash not in card:
        problem = f"does not mention config_hash {quoted(config_hash)} of {MANIFEST}"
        report_problem(DATA_CARD, problem)
    # The builder leaves a copy of the configuration, which a published library may lack.
    if isinstance(tree, dict) and store.size(CONFIG_FILE) is not None:
        copy = read(CONFIG_FILE, store.read_json)
        differing = [] if copy is None else differing_keys(copy, tree)
        if differing:
            report_problem(CONFIG_FILE, f"differs from {MANIFEST} in {', '.join(differing)}")
    return Descriptions(manifest, config, read(STATISTICS, store.read_json))


def read_description(
    store: Store, file: str, load: Callable[[str], T], report: ReportProblem
) -> T | None:
    """Load a file; return None and report it if it is missing, damaged or too large."""
    try:
        size = store.size(file)
        if size is None:
            raise LibraryError(f"{file} is missing or not a regular file")
        if size > LARGEST_DESCRIPTION_BYTES:
            raise LibraryError(f"{file} has {size} bytes: the limit is {LARGEST_DESCRIPTION_BYTES}")
        return load(file)
    except DAMAGE as error:
        report(f"cannot be read: {error}")
        return None


def _check_manifest(manifest: dict[str, Any], report: ReportProblem) -> LibraryConfig | None:
    missing = sorted((REQUIRED_KEYS | {"seed", "quarantined"}) - manifest.keys())
    if missing:
        report(f"lacks {', '.join(missing)}")
    tree = manifest.get("config")
    if not isinstance(tree, dict):
        report(f"config is {quoted(tree)}: must be a JSON object")
        return None
    for key, expected, rule in (
        ("schema_version", SCHEMA_VERSION, "must be"),
        # Hash the keys as stored: default values of newer keys would change the hash.
        ("config_hash", identity_hash(tree), "the hash of config is"),
        ("seed", tree.get("seed"), "config.seed is"),
    ):
        if manifest.get(key) != expected:
            report(f"{key} is {quoted(manifest.get(key))}: {rule} {quoted(expected)}")
    try:
        config = from_tree(LibraryConfig, tree | {"cases": manifest.get("cases")})
    except (ConfigError, ArithmeticError) as error:
        report(f"config is invalid: {quoted(error)}")
        return None
    added = differing_keys(tree, identity_tree(config))
    if added:
        problem = f"config lacks {', '.join(added)}, so the check uses the default values"
        report(problem, "check it with the version of fwdecg that built it")
    return config
