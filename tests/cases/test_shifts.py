from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.cases.conditions import CONDITIONS, condition_of
from fwdecg.cases.shifts import SHIFTS, place_of, splits_of
from fwdecg.cases.splits import SPLITS, split_of

shift_lists = st.lists(st.sampled_from(SHIFTS), unique=True)
case_ids = st.integers(0, 100_000)


@given(case_id=case_ids)
def test_without_shifts_an_id_is_a_rank(case_id):
    place = place_of(case_id)
    assert place.rank == case_id
    assert place.condition == condition_of(case_id)
    assert place.split == split_of(case_id)
    assert place.shift is None
    assert place.stream == (case_id,)


@given(shifts=shift_lists, blocks=st.integers(1, 6))
def test_blocks_hold_fifty_regular_cases_in_balance_and_five_of_each_shift(shifts, blocks):
    size = blocks * (50 + 5 * len(shifts))
    places = [place_of(case_id, shifts) for case_id in range(size)]
    regular = Counter((p.condition.name, p.split) for p in places if p.shift is None)
    for condition in CONDITIONS:
        cases = blocks * (20 if condition.name == "fibrosis" else 10)
        found = [regular[condition.name, split] for split in SPLITS]
        assert found == [cases * 8 // 10, cases // 10, cases // 10]
    shifted = Counter(p.split for p in places if p.shift is not None)
    assert shifted == {f"test_{shift}": 5 * blocks for shift in shifts}
    assert set(splits_of(shifts)) == {p.split for p in places}


@given(shifts=shift_lists, cases=st.integers(1, 400))
def test_regular_cases_follow_one_another_as_without_shifts(shifts, cases):
    places = [place_of(case_id, shifts) for case_id in range(cases)]
    regular = [place for place in places if place.shift is None]
    assert regular == [place_of(rank) for rank in range(len(regular))]


@given(shifts=shift_lists, cases=st.integers(1, 400))
def test_no_two_cases_share_their_draws(shifts, cases):
    streams = {place_of(case_id, shifts).stream for case_id in range(cases)}
    assert len(streams) == cases
    # Trailing zeros are lost on numpy's SeedSequence.
    assert all(len(stream) == 1 or stream[-1] > 0 for stream in streams)


@given(shifts=shift_lists, blocks=st.integers(0, 30))
def test_shifted_cases_have_a_condition_that_can_be_shifted(shifts, blocks):
    first = blocks * (50 + 5 * len(shifts)) + 50
    for number, shift in enumerate(shifts):
        places = [place_of(first + 5 * number + k, shifts) for k in range(5)]
        assert [place.shift for place in places] == [shift] * 5
        conditions = Counter(place.condition.name for place in places)
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
def test_by_hand(case_id, rank, split):
    place = place_of(case_id, ("stimulus", "diffusivity"))
    assert (place.rank, place.split) == (rank, split)
