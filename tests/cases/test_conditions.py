from collections import Counter

import pytest

from fwdecg.cases.conditions import PATTERN, condition_of, rank_within_condition


def test_the_paper_library_has_the_paper_counts():
    counts = Counter(condition_of(case_id).name for case_id in range(300))
    assert counts == {"healthy": 60, "gap_junction": 60, "fibrosis": 120, "combined": 60}


@pytest.mark.parametrize("cases", [5, 7, 123])
def test_ranks_count_up_within_each_condition(cases):
    seen = Counter()
    for case_id in range(cases):
        condition = condition_of(case_id)
        assert rank_within_condition(case_id) == seen[condition.name]
        seen[condition.name] += 1
    assert len(PATTERN) == 5
