"""Training, validation and test cases among the regular ones: 80, 10 and 10 % of every condition.

Of ten successive cases of a condition one is for validation and one for testing. Cases are
independent draws, so which of the ten is immaterial; the places differ between conditions only so
that a library of ten cases has all three splits already.
"""

from fwdecg.cases.conditions import (
    COMBINED,
    FIBROSIS,
    GAP_JUNCTION,
    HEALTHY,
    condition_of,
    rank_within_condition,
)

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
ALL = "all"  # every split
PERIOD = 10

# Condition -> rank within the period of its validation and of its test case.
_HELD_OUT = {
    FIBROSIS: (1, 3),
    HEALTHY: (4, 9),
    GAP_JUNCTION: (2, 7),
    COMBINED: (3, 8),
}


def split_of(case_id: int) -> str:
    """The split of a regular case: "train", "validation" or "test"."""
    validation, test = _HELD_OUT[condition_of(case_id)]
    place = rank_within_condition(case_id) % PERIOD
    return {validation: VALIDATION, test: TEST}.get(place, TRAIN)
