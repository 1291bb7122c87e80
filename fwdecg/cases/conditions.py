"""The four tissue conditions of the paper and how many cases each one has.

Sixty healthy, sixty gap-junction remodelled, a hundred and twenty fibrotic and sixty combined cases
out of three hundred are one, one, two and one out of five: case ids run through that pattern, so a
library of any size has the paper's proportions and grows without changing a case it has.
"""

from dataclasses import dataclass
from typing import Literal

Patches = Literal["none", "small", "large"]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What makes a tissue condition: which range of D, and which patches that do not conduct."""

    name: str
    remodelled: bool
    patches: Patches


HEALTHY = Condition(name="healthy", remodelled=False, patches="small")
GAP_JUNCTION = Condition(name="gap_junction", remodelled=True, patches="none")
FIBROSIS = Condition(name="fibrosis", remodelled=False, patches="large")
COMBINED = Condition(name="combined", remodelled=True, patches="large")

CONDITIONS = (HEALTHY, GAP_JUNCTION, FIBROSIS, COMBINED)
PATTERN = (HEALTHY, GAP_JUNCTION, FIBROSIS, COMBINED, FIBROSIS)


def condition_of(case_id: int) -> Condition:
    """The condition of a regular case."""
    return PATTERN[case_id % len(PATTERN)]


def rank_within_condition(case_id: int) -> int:
    """How many cases of the same condition have a smaller id."""
    repeats, position = divmod(case_id, len(PATTERN))
    condition = PATTERN[position]
    return repeats * PATTERN.count(condition) + PATTERN[:position].count(condition)
