"""The four tissue conditions of the paper and their proportions.

The paper simulates 60 healthy, 60 gap-junction remodelled, 120 fibrotic and 60 combined cases, a
ratio of 1:1:2:1. Case ids repeat a cycle of five conditions in this ratio. A library of any size
therefore has the paper's proportions, and extending it does not change existing cases.
"""

from dataclasses import dataclass
from typing import Literal

Patches = Literal["none", "small", "large"]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A tissue condition.

    Attributes:
        name: name of the condition, as stored in a library.
        remodelled: whether D is drawn from the range of gap-junction remodelling.
        patches: which non-conductive patches the tissue has.
    """

    name: str
    remodelled: bool
    patches: Patches


HEALTHY = Condition(name="healthy", remodelled=False, patches="small")
GAP_JUNCTION = Condition(name="gap_junction", remodelled=True, patches="none")
FIBROSIS = Condition(name="fibrosis", remodelled=False, patches="large")
COMBINED = Condition(name="combined", remodelled=True, patches="large")

CONDITIONS = (HEALTHY, GAP_JUNCTION, FIBROSIS, COMBINED)
CONDITION_CYCLE = (HEALTHY, GAP_JUNCTION, FIBROSIS, COMBINED, FIBROSIS)


def condition_of(rank: int) -> Condition:
    """Return the condition of a regular case.

    Args:
        rank: number of regular cases with a smaller id.
    """
    return CONDITION_CYCLE[rank % len(CONDITION_CYCLE)]


def rank_within_condition(rank: int) -> int:
    """Return the number of regular cases of the same condition with a smaller rank."""
    cycles, position = divmod(rank, len(CONDITION_CYCLE))
    condition = CONDITION_CYCLE[position]
    return cycles * CONDITION_CYCLE.count(condition) + CONDITION_CYCLE[:position].count(condition)
