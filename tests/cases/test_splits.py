from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.cases.conditions import CONDITIONS, condition_of, rank_within_condition
from fwdecg.cases.splits import SHIFTS, SPLITS, assign_case, regular_split, splits_of

shift_lists = st.lists(st.sampled_from(SHIFTS), unique=True)


def test_paper_library_has_240_30_30_cases_in_balance():
    counts = Counter((condition_of(rank).name, regular_split(rank)) for rank in range(300))
    for condition in CONDITIONS:
        total = 120 if condition.name == "fibrosis" else 60
        fractions = [counts[condition.name, split] / total for split in SPLITS]
        assert fractions == [0.8, 0.1, 0.1]


def test_rank_within_condition_counts_up():
    seen = Counter()
    for rank in range(123):
        condition = condition_of(rank)
        assert rank_within_condition(rank) == seen[condition.name]
        seen[condition.name] += 1


def test_ten_cases_have_all_splits():
    assert {regular_split(rank) for rank in range(10)} == set(SPLITS)


@given(case_id=st.integers(0, 100_000))
def test_without_shifts_the_rank_is_the_case_id(case_id):
    assignment = assign_case(case_id)
    assert assignment.rank == case_id
    assert assignment.condition == condition_of(case_id)
    assert assignment.split == regular_split(case_id)
    assert assignment.shift is None
    assert assignment.random_stream == (case_id,)


@given(shifts=shift_lists, blocks=st.integers(1, 6))
def test_blocks_are_balanced(shifts, blocks):
    size = blocks * (50 + 5 * len(shifts))
    assignments = [assign_case(case_id, shifts) for case_id in range(size)]
    regular = Counter((a.condition.name, a.split) for a in assignments if a.shift is None)
    for condition in CONDITIONS:
        cases = blocks * (20 if condition.name == "fibrosis" else 10)
        found = [regular[condition.name, split] for split in SPLITS]
        assert found == [cases * 8 // 10, cases // 10, cases // 10]
    shifted = Counter(a.split for a in assignments if a.shift is not None)
    assert shifted == {f"test_{shift}": 5 * blocks for shift in shifts}
    assert set(splits_of(shifts)) == {a.split for a in assignments}


@given(shifts=shift_lists, cases=st.integers(1, 400))
def test_regular_cases_are_the_same_as_without_shifts(shifts, cases):
    assignments = [assign_case(case_id, shifts) for case_id in range(cases)]
    regular = [assignment for assignment in assignments if assignment.shift is None]
    assert regular == [assign_case(rank) for rank in range(len(regular))]


@given(shifts=shift_lists, cases=st.integers(1, 400))
def test_every_case_has_its_own_random_stream(shifts, cases):
    streams = {assign_case(case_id, shifts).random_stream for case_id in range(cases)}
    assert len(streams) == cases
    # numpy's SeedSequence ignores trailing zeros.
    assert all(len(stream) == 1 or stream[-1] > 0 for stream in streams)


@given(shifts=shift_lists, blocks=st.integers(0, 30))
def test_a_shift_uses_only_conditions_that_it_applies_to(shifts, blocks):
    first = blocks * (50 + 5 * len(shifts)) + 50
    for number, shift in enumerate(shifts):
        assignments = [assign_case(first + 5 * number + k, shifts) for k in range(5)]
        assert [assignment.shift for assignment in assignments] == [shift] * 5
        conditions = Counter(assignment.condition.name for assignment in assignments)
        if shift == "patch_size":
            assert conditions == {"fibrosis": 3, "combined": 2}
        else:
            assert conditions == {"healthy": 1, "gap_junction": 1, "fibrosis": 2, "combined": 1}


@pytest.mark.parametrize(
    ("case_id", "rank", "split"),
    [
        (49, 49, "train"),
        (50, 0, "test_stimulus"),
        (54, 4, "test_stimulus"),
        (55, 0, "test_diffusivity"),
        (60, 50, "train"),
        (110, 5, "test_stimulus"),
    ],
)
def test_assignment_by_hand(case_id, rank, split):
    assignment = assign_case(case_id, ("stimulus", "diffusivity"))
    assert (assignment.rank, assignment.split) == (rank, split)
