"""Where a case stands in its library: its condition, its split, and what is shifted in it.

Beside the regular cases a library may hold shifted ones, whose tissue, stimulus or electrodes lie
outside of what training sees; each shift is a test split of its own. Ids run in blocks, first
`REGULAR` regular cases, then `SHIFTED` of each shift: a library of any size has all of them, and
grows without changing a case it has. Among themselves regular cases follow one another as in a
library without shifts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fwdecg.cases.conditions import COMBINED, FIBROSIS, PATTERN, Condition, condition_of
from fwdecg.cases.splits import SPLITS, TEST, split_of

DIFFUSIVITY, PATCH_SIZE, STIMULUS, ELECTRODE = "diffusivity", "patch_size", "stimulus", "electrode"
SHIFTS = (DIFFUSIVITY, PATCH_SIZE, STIMULUS, ELECTRODE)

REGULAR, SHIFTED = 50, 5  # cases of a block; 50 hold each condition's splits in balance

# Only these conditions have large patches.
_PATCHED = (FIBROSIS, COMBINED, FIBROSIS, COMBINED, FIBROSIS)


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a case's id says of it.

    Attributes:
        rank: how many cases of the same shift, or regular ones, have a smaller id.
        condition: of its tissue.
        split: "train", "validation", "test", or the test split of its shift.
        shift: one of `SHIFTS`, None for a regular case.
    """

    rank: int
    condition: Condition
    split: str
    shift: str | None

    @property
    def stream(self) -> tuple[int, ...]:
        """Numbers that tell its random draws from those of all other cases of a library."""
        return (self.rank,) if self.shift is None else (self.rank, 1 + SHIFTS.index(self.shift))


def place_of(case_id: int, shifts: Sequence[str] = ()) -> Place:
    """The place of a case.

    Args:
        case_id: its id.
        shifts: of the library, in their order.
    """
    block, within = divmod(case_id, REGULAR + SHIFTED * len(shifts))
    if within < REGULAR:
        rank = block * REGULAR + within
        return Place(rank=rank, condition=condition_of(rank), split=split_of(rank), shift=None)
    number, position = divmod(within - REGULAR, SHIFTED)
    shift = shifts[number]
    pattern = _PATCHED if shift == PATCH_SIZE else PATTERN
    return Place(
        rank=block * SHIFTED + position,
        condition=pattern[position],
        split=shifted_split(shift),
        shift=shift,
    )


def shifted_split(shift: str) -> str:
    """Name of the test split of a shift."""
    return f"{TEST}_{shift}"


def splits_of(shifts: Sequence[str]) -> tuple[str, ...]:
    """Names of all splits of a library with these shifts."""
    return (*SPLITS, *map(shifted_split, shifts))
