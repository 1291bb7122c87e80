"""Splits that share nothing: balanced over the conditions, no tissue and no seed in two of them.

That each case stands in the split of its id is checked with its draw; here nothing is drawn, so
that a texture that was copied, or a seed used twice, is found by itself.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from fwdecg.cases.splits import assign_case
from fwdecg.library.check.fault import Check, Fault, quoted
from fwdecg.library.check.part_check import HeldCase

# Fewer pixels without tissue can be the same in two tissues by chance.
LEAST_BLOCKED_PIXELS = 8


def check_disjoint(cases: Sequence[HeldCase]) -> Iterator[Fault]:
    """Whether cases of different splits differ in seed and in the places of their patches."""
    patched = [case for case in cases if case.blocked_pixels >= LEAST_BLOCKED_PIXELS]
    yield from _shared("non-conducting patches", patched, lambda case: case.pattern)
    yield from _shared("seed", cases, lambda case: case.seed)


def check_balance(cases: Sequence[HeldCase], shifts: Sequence[str]) -> Iterator[Fault]:
    """Whether each split has its share of each condition; all parts must have been read."""
    found = Counter((case.condition, case.split) for case in cases)
    places = [assign_case(case.case_id, shifts) for case in cases]
    wanted = Counter((place.condition.name, place.split) for place in places)
    for condition, split in sorted(found.keys() | wanted.keys()):
        number, rule = found[condition, split], wanted[condition, split]
        if number != rule:
            yield Fault(
                Check.SPLITS,
                f"condition {quoted(condition)}",
                f"has {number} cases in split {quoted(split)}: the rule gives it {rule}",
            )


def split_sizes(cases: Iterable[HeldCase]) -> str:
    """The number of cases of each split, in words."""
    sizes = Counter(case.split for case in cases)
    return ", ".join(f"{number} {quoted(split)}" for split, number in sizes.items())


def _shared(
    what: str, cases: Sequence[HeldCase], of: Callable[[HeldCase], Hashable]
) -> Iterator[Fault]:
    first: dict[Hashable, HeldCase] = {}
    for case in cases:
        other = first.setdefault(of(case), case)
        if other.split != case.split:
            yield Fault(
                Check.SPLITS,
                f"case {case.case_id}",
                f"has the {what} of case {other.case_id}, but one is in split "
                f"{quoted(case.split)}, the other in {quoted(other.split)}",
                "leave one of them out of training and of scores",
            )
