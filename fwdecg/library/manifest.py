"""Manifest of a library: what it contains, how it was made, and the checksums of its parts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from itertools import product
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

# Entries of the manifest that metrics.json repeats, besides the cost.
_METRICS = ("config_hash", "cases", "largest_cv_error_estimate", "cases_active_at_end", "redraws")


def manifest(config: LibraryConfig, records: Sequence[PartRecord], *, cost: Cost) -> dict[str, Any]:
    """Return the content of manifest.json.

    Args:
        config: library configuration.
        records: records of all parts, sorted by case id.
        cost: cost of this run, not including earlier runs that were interrupted.
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
        "counts": count_cases(case_ids, quarantined, config.shifts),
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
    """Write statistics, data card, metrics and manifest, and return the manifest.

    The manifest comes last, because it marks the library as finished.
    """
    content = manifest(config, records, cost=cost)
    training = content["counts"]["ok"][TRAIN][ALL]
    statistics = combine_moments((record.moments for record in records), cases=training)
    if statistics is not None:
        store.publish_json(STATISTICS, asdict(statistics))
    store.publish(DATA_CARD, data_card(config, content, statistics))
    metrics = {name: content[name] for name in (*_METRICS, "cost")}
    metrics["quarantined"] = len(content["quarantined"])
    store.publish_json(METRICS_FILE, metrics)
    store.publish_json(MANIFEST, content)
    return content


def count_cases(
    case_ids: Sequence[int], quarantined: Sequence[int], shifts: Sequence[str]
) -> dict[str, Any]:
    """Count cases by status, split and condition, with "all" for the totals.

    Args:
        case_ids: usable cases.
        quarantined: failed cases.
        shifts: shifts of the library.
    """
    statuses = {"ok": case_ids, "quarantined": quarantined}
    splits = (*splits_of(shifts), ALL)
    names = (*(condition.name for condition in CONDITIONS), ALL)
    counts: Counter[tuple[str, str, str]] = Counter()
    for status, ids in statuses.items():
        for case_id in ids:
            case = assign_case(case_id, shifts)
            counts.update(product((status,), (case.split, ALL), (case.condition.name, ALL)))
    return {
        status: {split: {name: counts[status, split, name] for name in names} for split in splits}
        for status in statuses
    }
