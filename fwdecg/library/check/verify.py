"""Verification of a library that nobody trusts yet: every fault is named, nothing is written.

The parts are read once, some rows at a time. The draw of every case and some of the simulations
are made again from the configuration in the manifest, within limits.
"""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import numpy as np

from fwdecg.cases.conditions import CONDITIONS
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.errors import ConfigError
from fwdecg.library.check.access import library_store
from fwdecg.library.check.check_report import Report
from fwdecg.library.check.completeness import check_case_ids, check_totals
from fwdecg.library.check.contents import Contents, read_parts
from fwdecg.library.check.descriptions import Described, check_descriptions
from fwdecg.library.check.fault import Check, Fault, collect, quoted
from fwdecg.library.check.inventory import Inventory, check_files
from fwdecg.library.check.limits import check_limits
from fwdecg.library.check.resimulation import draw_sample, in_words, simulate_again
from fwdecg.library.check.split_check import check_balance, check_disjoint, split_sizes
from fwdecg.library.check.statistics_check import check_statistics, training_statistics
from fwdecg.runtime.storage import Store

# What each check has covered, in words.
Extents = dict[Check, str]


def check_library(
    place: str | Path | Store, *, sample: int = len(CONDITIONS), seed: int = 0
) -> Report:
    """All that is wrong with a library.

    Args:
        place: its folder or URI.
        sample: number of cases to simulate again, of all conditions in turn.
        seed: of the draw of that sample.

    Raises:
        LibraryError: the path is no library at all.
        ConfigError: sample or seed is below 0.
    """
    if min(sample, seed) < 0:
        raise ConfigError(f"sample = {sample}, seed = {seed}: both must be at least 0")
    store, faults = library_store(place), list[Fault]()
    extents = collect(_check(store, sample, np.random.default_rng(seed)), into=faults)
    return Report(store=store, faults=tuple(faults), extents=extents)


def _check(store: Store, sample: int, rng: np.random.Generator) -> Generator[Fault, None, Extents]:
    described = yield from check_descriptions(store)
    inventory = yield from check_files(store, described.manifest)
    extents = _files_covered(described, inventory)
    config = described.config
    if config is None:
        return extents
    granted = yield from check_limits(config)
    if not granted.read:
        return extents
    contents = yield from read_parts(store, inventory, config, redraw=granted.redraw)
    yield from check_case_ids(contents, inventory.quarantined, config.cases)
    yield from _check_together(contents, described, inventory.quarantined, config.shifts)
    extents |= _contents_covered(contents, config)
    if granted.redraw:
        extents[Check.DRAWS] = f"{len(contents.case_ids)} cases"
    if granted.redraw and sample:
        chosen = draw_sample(contents.cases, sample, rng)
        agreements = yield from simulate_again(store, chosen, config)
        extents[Check.SIMULATION] = in_words(chosen, agreements)
    return extents


def _check_together(
    contents: Contents,
    described: Described,
    quarantined: Sequence[int],
    shifts: Sequence[str],
) -> Iterator[Fault]:
    """What can be said of all cases together; sums only if all of them were read."""
    yield from check_disjoint(contents.cases)
    if not contents.whole:
        return
    yield from check_totals(described.manifest, contents.cases, quarantined, shifts)
    yield from check_balance(contents.cases, shifts)
    statistics = training_statistics(contents.cases)
    if statistics is not None and described.statistics is not None:
        yield from check_statistics(described.statistics, statistics)


def _files_covered(described: Described, inventory: Inventory) -> Extents:
    version = quoted(described.manifest.get("code_version", "of unknown version"))
    return {
        Check.DESCRIPTIONS: f"manifest, statistics, data card; built by fwdecg {version}",
        Check.FILES: f"{len(inventory.parts)} parts, {inventory.bytes / 1e6:.1f} MB, "
        f"{len(inventory.quarantined)} quarantined cases",
    }


def _contents_covered(contents: Contents, config: LibraryConfig) -> Extents:
    count = f"{len(contents.case_ids)} cases"
    ids, splits = f"ids 0 to {config.cases - 1}", split_sizes(contents.cases)
    extents = {Check.SCHEMA: count, Check.VALUES: count}
    if not contents.whole:
        lacking = "as not all cases could be read"
        extents[Check.CASES] = f"{ids}; not the manifest's totals, {lacking}"
        extents[Check.SPLITS] = f"{splits}: seeds, patches; not the balance, {lacking}"
        return extents
    extents[Check.CASES] = f"{ids}, the manifest's totals"
    extents[Check.SPLITS] = f"{splits}: seeds, patches, balance"
    extents[Check.STATISTICS] = "all training cases"
    return extents
