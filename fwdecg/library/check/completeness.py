"""Every case id exactly once, in a part or in quarantine; the manifest's totals."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fwdecg.config import differing_keys
from fwdecg.library.check.contents import Contents
from fwdecg.library.check.fault import Check, Fault, quoted
from fwdecg.library.check.part_check import HeldCase
from fwdecg.library.manifest import count_cases
from fwdecg.library.paths import MANIFEST, Part, quarantine_file


def check_case_ids(contents: Contents, quarantined: Sequence[int], cases: int) -> Iterator[Fault]:
    """Whether each id below `cases` is somewhere, and only there.

    Args:
        contents: of the parts; those that could not be read are taken to hold their cases.
        quarantined: ids of the records in quarantine.
        cases: the library's number of cases.
    """
    case_ids = contents.case_ids
    for case_id, count in sorted(Counter(case_ids).items()):
        if count > 1:
            yield _fault(f"case {case_id}", f"stands in {count} rows: must stand in one")
    for case_id in sorted(set(case_ids) & set(quarantined)):
        yield _fault(
            f"case {case_id}",
            f"is in quarantine and in a part: {quarantine_file(case_id)} must go, or the row",
        )
    for case_id in sorted({*case_ids, *quarantined}):
        if not 0 <= case_id < cases:
            yield _fault(f"case {case_id}", f"the library's ids run from 0 to {cases - 1}")
    known = [Part(case_id, case_id + 1) for case_id in (*case_ids, *quarantined)]
    for gap in _gaps([*known, *contents.unread], cases):
        single = gap.stop - gap.first == 1
        yield _fault(
            f"case {gap.first}" if single else f"cases {gap.first} to {gap.stop - 1}",
            "neither in a part nor in quarantine",
            "build the library again: the rest is kept",
        )


def check_totals(
    manifest: dict[str, Any],
    cases: Sequence[HeldCase],
    quarantined: Sequence[int],
    shifts: Sequence[str],
) -> Iterator[Fault]:
    """Whether the manifest adds up what its parts hold; they must all have been read."""
    wanted = {
        "counts": count_cases([case.case_id for case in cases], quarantined, shifts),
        "quarantined": sorted(quarantined),
        "redraws": sum(case.redraws for case in cases),
        "largest_cv_error_estimate": max((case.cv_error_estimate for case in cases), default=0.0),
        "cases_active_at_end": sum(case.active_at_end for case in cases),
        "cost": {"node_updates": sum(case.node_updates for case in cases)},
    }
    found = {name: manifest.get(name) for name in wanted}
    if isinstance(found["cost"], dict):
        found["cost"] = {"node_updates": found["cost"].get("node_updates")}
    for key in differing_keys(found, wanted):
        yield _fault(
            MANIFEST,
            f"{key} is {quoted(_at(found, key))}, its cases give {quoted(_at(wanted, key))}",
        )


def _gaps(ranges: Iterable[Part], cases: int) -> Iterator[Part]:
    """What the ranges leave open below `cases`."""
    first = 0
    for known in [*sorted(ranges), Part(cases, cases)]:
        if known.first > first:
            yield Part(first, min(known.first, cases))
        first = max(first, known.stop)
        if first >= cases:
            return


def _at(tree: Any, key: str) -> Any:
    for name in key.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def _fault(subject: str, problem: str, remedy: str = "") -> Fault:
    return Fault(Check.CASES, subject, problem, remedy)
