"""The manifest: what a library holds, how it was made, how to check it."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from fwdecg.cases.conditions import CONDITIONS
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.splits import ALL, TRAIN, assign_case, splits_of
from fwdecg.config import identity_hash, identity_tree
from fwdecg.library.data_card import data_card
from fwdecg.library.part import PartRecord
from fwdecg.library.paths import DATA_CARD, MANIFEST, STATISTICS
from fwdecg.library.schema import SCHEMA_VERSION
from fwdecg.library.statistics import combine_moments
from fwdecg.runtime.cost import Cost
from fwdecg.runtime.storage import METRICS_FILE, Store

CONDITION_NAMES = tuple(condition.name for condition in CONDITIONS)


def manifest(config: LibraryConfig, records: Sequence[PartRecord], *, cost: Cost) -> dict[str, Any]:
    """The content of manifest.json.

    Args:
        config: of the library.
        records: all its parts, by first case.
        cost: of this run (an interrupted build's earlier runs do not count).
    """
    case_ids = [case_id for record in records for case_id in record.case_ids]
    quarantined = [case_id for record in records for case_id in record.quarantined]
    return {
        "schema_version": SCHEMA_VERSION,
        "config": identity_tree(config),
        "config_hash": identity_hash(config),
        "code_version": version("fwdecg"),
        "seed": config.seed,
        "cases": config.cases,
        "counts": counts(case_ids, quarantined, config.shifts),
        "quarantined": quarantined,
        "redraws": sum(record.redraws for record in records),
        "largest_cv_error_estimate": max(record.largest_cv_error for record in records),
        "cases_active_at_end": sum(record.active_at_end for record in records),
        "parts": [
            {
                "file": record.part.file,
                "cases": len(record.case_ids),
                "bytes": record.size_bytes,
                "sha256": record.sha256,
            }
            for record in records
            if record.case_ids
        ],
        "cost": {
            "node_updates": sum(record.node_updates for record in records),
            "last_run": cost.as_dict(),
        },
    }


def publish_descriptions(
    config: LibraryConfig, store: Store, records: Sequence[PartRecord], *, cost: Cost
) -> dict[str, Any]:
    """Write statistics, data card and, last, the manifest, which makes the library readable."""
    content = manifest(config, records, cost=cost)
    training = content["counts"]["ok"][TRAIN][ALL]
    statistics = combine_moments((record.moments for record in records), cases=training)
    if statistics is not None:
        store.publish_json(STATISTICS, statistics.as_dict())
    store.publish(DATA_CARD, data_card(config, content, statistics))
    store.publish_json(METRICS_FILE, _main_figures(content))
    store.publish_json(MANIFEST, content)
    return content


def _main_figures(content: dict[str, Any]) -> dict[str, Any]:
    names = ("config_hash", "cases", "largest_cv_error_estimate", "cases_active_at_end", "redraws")
    figures = {name: content[name] for name in (*names, "cost")}
    return figures | {"quarantined": len(content["quarantined"])}


def counts(
    case_ids: Sequence[int], quarantined: Sequence[int], shifts: Sequence[str]
) -> dict[str, Any]:
    """Cases by status, split and condition; "all" splits, "all" conditions."""
    return {"ok": _by_split(case_ids, shifts), "quarantined": _by_split(quarantined, shifts)}


def _by_split(case_ids: Sequence[int], shifts: Sequence[str]) -> dict[str, dict[str, int]]:
    places = [assign_case(case_id, shifts) for case_id in case_ids]
    numbers = {}
    for split in (*splits_of(shifts), ALL):
        names = [place.condition.name for place in places if split in (place.split, ALL)]
        numbers[split] = {name: names.count(name) for name in CONDITION_NAMES} | {ALL: len(names)}
    return numbers
