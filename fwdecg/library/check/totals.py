"""Checks over all cases of a library: case ids, the manifest's totals, splits and statistics.

`redraws.check_draw` also compares a case's split with its id. `check_disjoint` uses stored values
only, so it finds a copied random field or a reused seed independently of the configuration.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from fwdecg.cases.splits import TRAIN, assign_case
from fwdecg.config import differing_keys
from fwdecg.library.check.fault import Check, ReportFault, quoted
from fwdecg.library.check.rows import CaseSummary
from fwdecg.library.manifest import count_cases
from fwdecg.library.paths import MANIFEST, STATISTICS, Part, quarantine_file
from fwdecg.library.statistics import combine_moments

# Two tissues with fewer blocked pixels than this may have the same pattern by chance.
LEAST_BLOCKED_PIXELS = 8
# Relative to the standard deviation. Sums of up to 1e10 float64 values in another order agree
# within about 1e-11. A deviation of 1e-10 does not affect z-scores, which are float32 and resolve
# 6e-8.
TOLERANCE = 1e-10


def check_case_ids(
    case_ids: Sequence[int],
    quarantined: Sequence[int],
    unread: Sequence[Part],
    cases: int,
    report: ReportFault,
) -> None:
    """Check that each id from 0 to `cases` - 1 occurs exactly once.

    Args:
        case_ids: ids of all rows.
        quarantined: ids of the cases in quarantine.
        unread: parts that cannot be read; they are assumed to contain all cases of their range.
        cases: number of cases of the library.
        report: called with each fault.
    """
    report = partial(report, Check.CASES)
    for case_id, count in sorted(Counter(case_ids).items()):
        if count > 1:
            report(f"case {case_id}", f"occurs in {count} rows: must occur in one")
    for case_id in sorted(set(case_ids) & set(quarantined)):
        remedy = f"delete {quarantine_file(case_id)} or the row"
        report(f"case {case_id}", "is both in quarantine and in a part", remedy)
    known = {*case_ids, *quarantined}
    for case_id in sorted(known):
        if not 0 <= case_id < cases:
            report(f"case {case_id}", f"the library's ids are 0 to {cases - 1}")
    # Walk over the gaps only: a configuration may demand too many cases to visit each id.
    first = 0
    for start, stop in sorted([*((i, i + 1) for i in known), *unread, (cases, cases)]):
        last = min(start, cases) - 1
        if first <= last:
            subject = f"case {first}" if first == last else f"cases {first} to {last}"
            remedy = "build the library again; the build keeps the other cases"
            report(subject, "in no part and not in quarantine", remedy)
        first = max(first, stop)


def check_totals(
    manifest: dict[str, Any],
    cases: Sequence[CaseSummary],
    quarantined: Sequence[int],
    shifts: Sequence[str],
    report: ReportFault,
) -> None:
    """Compare the totals in the manifest with the totals over all cases."""
    expected = {
        "counts": count_cases([case.case_id for case in cases], quarantined, shifts),
        "quarantined": sorted(quarantined),
        "redraws": sum(case.redraws for case in cases),
        "largest_cv_error_estimate": max((case.cv_error_estimate for case in cases), default=0.0),
        "cases_active_at_end": sum(case.active_fraction_at_end > 0 for case in cases),
        "cost": {"node_updates": sum(case.node_updates for case in cases)},
    }
    found = {name: manifest.get(name) for name in expected}
    if isinstance(found["cost"], dict):
        found["cost"] = {"node_updates": found["cost"].get("node_updates")}
    for key in differing_keys(found, expected):
        value, total = quoted(_lookup(found, key)), quoted(_lookup(expected, key))
        report(Check.CASES, MANIFEST, f"{key} is {value}: its cases give {total}")


def _lookup(tree: Any, key: str) -> Any:
    for name in key.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def check_disjoint(cases: Sequence[CaseSummary], report: ReportFault) -> None:
    """Check that no two splits share a seed or a pattern of non-conducting patches."""
    patched = [case for case in cases if case.blocked_pixels >= LEAST_BLOCKED_PIXELS]
    for what, keys in (
        ("non-conducting patches", [(case.pattern, case) for case in patched]),
        ("seed", [(case.seed, case) for case in cases]),
    ):
        first: dict[bytes | int, CaseSummary] = {}
        for key, case in keys:
            other = first.setdefault(key, case)
            if other.split != case.split:
                problem = (
                    f"has the same {what} as case {other.case_id}, but they are in different "
                    f"splits, {quoted(case.split)} and {quoted(other.split)}"
                )
                remedy = "exclude one of them from training and from scores"
                report(Check.SPLITS, f"case {case.case_id}", problem, remedy)


def check_balance(cases: Sequence[CaseSummary], shifts: Sequence[str], report: ReportFault) -> None:
    """Compare the case counts per condition and split with the counts that the ids imply."""
    found = Counter((case.condition, case.split) for case in cases)
    assigned = [assign_case(case.case_id, shifts) for case in cases]
    expected = Counter((rule.condition.name, rule.split) for rule in assigned)
    for condition, split in sorted(found.keys() | expected.keys()):
        number, rule = found[condition, split], expected[condition, split]
        if number != rule:
            problem = f"has {number} cases in split {quoted(split)}: must have {rule}"
            report(Check.SPLITS, f"condition {quoted(condition)}", problem)


def check_statistics(
    found: dict[str, Any], cases: Sequence[CaseSummary], report: ReportFault
) -> None:
    """Compare statistics.json with the statistics of all training cases."""
    training = [case.moments for case in cases if case.split == TRAIN]
    statistics = combine_moments(training, cases=len(training))
    if statistics is None:
        return
    expected = asdict(statistics)
    for name, value in expected.items():
        deviation = expected[name.replace("_mean", "_spread")]
        if not _is_close(found.get(name), np.array(value), np.array(deviation)):
            problem = f"{name} is {quoted(found.get(name))}: the training cases give "
            remedy = "build the library again; the build keeps the parts"
            report(Check.STATISTICS, STATISTICS, problem + quoted(value), remedy)


def _is_close(found: object, expected: np.ndarray, deviation: np.ndarray) -> bool:
    """Return whether an untrusted value has the expected numbers, in the expected shape."""
    try:
        values = np.array(found)
    except ValueError:  # a list of lists of different lengths
        return False
    if values.dtype.kind not in "iuf" or values.shape != expected.shape:
        return False
    return bool((np.abs(values.astype(float) - expected) <= TOLERANCE * deviation).all())
