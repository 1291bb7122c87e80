"""Assignment of a case id to a condition, a split and a shift.

Regular cases: 80 % of every condition are training, 10 % validation and 10 % test cases. Of ten
successive cases of a condition, one is a validation and one a test case. Cases are independent
draws, so the choice of these two is arbitrary. It differs between conditions so that a library of
ten cases already has all three splits.

Shifted cases: a library may also hold cases whose tissue, stimulus or electrodes lie outside the
training distribution. Each shift is a test split of its own. Case ids run in blocks of
`REGULAR_PER_BLOCK` regular cases followed by `SHIFTED_PER_BLOCK` cases of each shift, so that a
library of any size has all of them, and extending it does not change existing cases. The regular
cases are the same, in the same order, as in a library without shifts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fwdecg.cases.conditions import (
    COMBINED,
    CONDITION_CYCLE,
    FIBROSIS,
    GAP_JUNCTION,
    HEALTHY,
    Condition,
    condition_of,
    rank_within_condition,
)

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)  # of the regular cases
ALL = "all"  # every split, or every condition

DIFFUSIVITY_SHIFT, PATCH_SIZE_SHIFT = "diffusivity", "patch_size"
STIMULUS_SHIFT, ELECTRODE_SHIFT = "stimulus", "electrode"
SHIFTS = (DIFFUSIVITY_SHIFT, PATCH_SIZE_SHIFT, STIMULUS_SHIFT, ELECTRODE_SHIFT)

SPLIT_PERIOD = 10
# Fifty regular cases contain every condition's splits in the exact proportions.
REGULAR_PER_BLOCK, SHIFTED_PER_BLOCK = 50, 5

# Positions of the validation case and the test case of each condition, within a period.
_HELD_OUT_RANKS = {
    FIBROSIS: (1, 3),
    HEALTHY: (4, 9),
    GAP_JUNCTION: (2, 7),
    COMBINED: (3, 8),
}
# The patch size shift applies only to conditions with large patches.
_LARGE_PATCH_CYCLE = (FIBROSIS, COMBINED, FIBROSIS, COMBINED, FIBROSIS)


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """Condition, split and shift of a case, as determined by its id.

    Attributes:
        rank: number of cases with a smaller id and the same shift; for a regular case, the number
            of regular cases with a smaller id.
        condition: tissue condition.
        split: "train", "validation", "test", or the test split of its shift.
        shift: one of `SHIFTS`; None for a regular case.
    """

    rank: int
    condition: Condition
    split: str
    shift: str | None

    @property
    def random_stream(self) -> tuple[int, ...]:
        """Numbers that identify the random stream of this case among all cases of a library."""
        return (self.rank,) if self.shift is None else (self.rank, 1 + SHIFTS.index(self.shift))


def assign_case(case_id: int, shifts: Sequence[str] = ()) -> Assignment:
    """Return the condition, split and shift of a case.

    Args:
        case_id: number of the case.
        shifts: shifts of the library, in the configured order.
    """
    block, position = divmod(case_id, REGULAR_PER_BLOCK + SHIFTED_PER_BLOCK * len(shifts))
    if position < REGULAR_PER_BLOCK:
        rank = block * REGULAR_PER_BLOCK + position
        return Assignment(
            rank=rank, condition=condition_of(rank), split=regular_split(rank), shift=None
        )
    number, position = divmod(position - REGULAR_PER_BLOCK, SHIFTED_PER_BLOCK)
    shift = shifts[number]
    cycle = _LARGE_PATCH_CYCLE if shift == PATCH_SIZE_SHIFT else CONDITION_CYCLE
    return Assignment(
        rank=block * SHIFTED_PER_BLOCK + position,
        condition=cycle[position],
        split=shifted_split(shift),
        shift=shift,
    )


def regular_split(rank: int) -> str:
    """Return the split of the regular case with this rank."""
    validation, test = _HELD_OUT_RANKS[condition_of(rank)]
    position = rank_within_condition(rank) % SPLIT_PERIOD
    return {validation: VALIDATION, test: TEST}.get(position, TRAIN)


def shifted_split(shift: str) -> str:
    """Return the name of the test split of a shift."""
    return f"{TEST}_{shift}"


def splits_of(shifts: Sequence[str]) -> tuple[str, ...]:
    """Return the names of all splits of a library with these shifts."""
    return (*SPLITS, *map(shifted_split, shifts))
