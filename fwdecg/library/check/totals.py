"""Checks over all cases of a library: case ids, the manifest's totals, splits and statistics.

The check of each draw compares a case's split with its id. The checks of splits here draw nothing,
so they find a copied random field or a reused seed independently of the configuration.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from fwdecg.cases.splits import TRAIN, assign_case
from fwdecg.config import differing_keys
from fwdecg.library.check.fault import Check, Fault, ReportFault, quoted
from fwdecg.library.check.rows import CaseSummary
from fwdecg.library.manifest import count_cases
from fwdecg.library.paths import MANIFEST, STATISTICS, Part, quarantine_file
from fwdecg.library.statistics import Statistics, combine_moments

# Two tissues may have fewer blocked pixels than this in the same places by chance.
LEAST_BLOCKED_PIXELS = 8
# Relative to the standard deviation. Sums of up to 1e10 float64 values in another order agree
# within about 1e-11. z-scores are float32, which resolves 6e-8, so a deviation of 1e-10 is lost.
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
        unread: parts that cannot be read, which are assumed to contain their cases.
        cases: number of cases of the library.
        report: called with each fault.
    """

    def report_case(subject: str, problem: str, remedy: str = "") -> None:
        report(Fault(Check.CASES, subject, problem, remedy))

    for case_id, count in sorted(Counter(case_ids).items()):
        if count > 1:
            report_case(f"case {case_id}", f"occurs in {count} rows: must occur in one")
    for case_id in sorted(set(case_ids) & set(quarantined)):
        remedy = f"delete {quarantine_file(case_id)} or the row"
        report_case(f"case {case_id}", "is both in quarantine and in a part", remedy)
    for case_id in sorted({*case_ids, *quarantined}):
        if not 0 <= case_id < cases:
            report_case(f"case {case_id}", f"the library's ids are 0 to {cases - 1}")
    known = [Part(case_id, case_id + 1) for case_id in (*case_ids, *quarantined)]
    for gap in _gaps([*known, *unread], cases):
        single = gap.stop - gap.first == 1
        report_case(
            f"case {gap.first}" if single else f"cases {gap.first} to {gap.stop - 1}",
            "in no part and not in quarantine",
            "build the library again; the build keeps the other cases",
        )


def _gaps(ranges: Iterable[Part], cases: int) -> Iterator[Part]:
    """Yield the ranges of ids below `cases` that none of the given ranges covers."""
    first = 0
    for known in [*sorted(ranges), Part(cases, cases)]:
        if known.first > first:
            yield Part(first, min(known.first, cases))
        first = max(first, known.stop)
        if first >= cases:
            return


def check_totals(
    manifest: dict[str, Any],
    cases: Sequence[CaseSummary],
    quarantined: Sequence[int],
    shifts: Sequence[str],
    report: ReportFault,
) -> None:
    """Compare the manifest's totals with those of all cases."""
    expected = {
        "counts": count_cases([case.case_id for case in cases], quarantined, shifts),
        "quarantined": sorted(quarantined),
        "redraws": sum(case.redraws for case in cases),
        "largest_cv_error_estimate": max((case.cv_error_estimate for case in cases), default=0.0),
        "cases_active_at_end": sum(case.active_at_end for case in cases),
        "cost": {"node_updates": sum(case.node_updates for case in cases)},
    }
    found = {name: manifest.get(name) for name in expected}
    if isinstance(found["cost"], dict):
        found["cost"] = {"node_updates": found["cost"].get("node_updates")}
    for key in differing_keys(found, expected):
        value, total = quoted(_lookup(found, key)), quoted(_lookup(expected, key))
        report(Fault(Check.CASES, MANIFEST, f"{key} is {value}: its cases give {total}"))


def _lookup(tree: Any, key: str) -> Any:
    for name in key.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def check_disjoint(cases: Sequence[CaseSummary], report: ReportFault) -> None:
    """Check that no two splits share a seed or a pattern of non-conducting patches."""
    patched = [case for case in cases if case.blocked_pixels >= LEAST_BLOCKED_PIXELS]
    _check_unshared("non-conducting patches", patched, lambda case: case.pattern, report)
    _check_unshared("seed", cases, lambda case: case.seed, report)


def _check_unshared(
    what: str,
    cases: Sequence[CaseSummary],
    key: Callable[[CaseSummary], Hashable],
    report: ReportFault,
) -> None:
    first: dict[Hashable, CaseSummary] = {}
    for case in cases:
        other = first.setdefault(key(case), case)
        if other.split != case.split:
            problem = (
                f"has the same {what} as case {other.case_id}, but they are in different splits, "
                f"{quoted(case.split)} and {quoted(other.split)}"
            )
            remedy = "exclude one of them from training and from scores"
            report(Fault(Check.SPLITS, f"case {case.case_id}", problem, remedy))


def check_balance(cases: Sequence[CaseSummary], shifts: Sequence[str], report: ReportFault) -> None:
    """Compare each split's number of cases per condition with the rule for all case ids."""
    found = Counter((case.condition, case.split) for case in cases)
    assigned = [assign_case(case.case_id, shifts) for case in cases]
    expected = Counter((rule.condition.name, rule.split) for rule in assigned)
    for condition, split in sorted(found.keys() | expected.keys()):
        number, rule = found[condition, split], expected[condition, split]
        if number != rule:
            problem = f"has {number} cases in split {quoted(split)}: must have {rule}"
            report(Fault(Check.SPLITS, f"condition {quoted(condition)}", problem))


def check_statistics(
    found: dict[str, Any], cases: Sequence[CaseSummary], report: ReportFault
) -> None:
    """Compare statistics.json with the statistics of all training cases."""
    training = [case.moments for case in cases if case.split == TRAIN]
    expected = combine_moments(training, cases=len(training))
    if expected is None:
        return
    scales = _scales(expected)
    for name, value in asdict(expected).items():
        if not _close(_as_sequence(found.get(name)), _as_sequence(value), scales[name]):
            problem = f"{name} is {quoted(found.get(name))}: the training cases give "
            remedy = "build the library again; the build keeps the parts"
            report(Fault(Check.STATISTICS, STATISTICS, problem + quoted(value), remedy))


def _scales(expected: Statistics) -> dict[str, Sequence[float]]:
    """Return the standard deviations that the tolerance of each statistic is relative to."""
    return {
        "cases": (0.0,),
        "u_mean": (expected.u_spread,),
        "u_spread": (expected.u_spread,),
        "phi_e_mean": expected.phi_e_spread,
        "phi_e_spread": expected.phi_e_spread,
    }


def _close(found: Sequence[object], expected: Sequence[object], scales: Sequence[float]) -> bool:
    if len(found) != len(expected):
        return False
    return all(
        isinstance(a, int | float)
        and isinstance(b, int | float)
        and abs(a - b) <= TOLERANCE * scale
        for a, b, scale in zip(found, expected, scales, strict=True)
    )


def _as_sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else (value,)
