from collections import Counter

from fwdecg.cases.conditions import condition_of, rank_within_condition


def test_paper_library_has_the_paper_counts():
    counts = Counter(condition_of(rank).name for rank in range(300))
    assert counts == {"healthy": 60, "gap_junction": 60, "fibrosis": 120, "combined": 60}


def test_rank_within_condition_counts_up():
    seen = Counter()
    for rank in range(123):
        condition = condition_of(rank)
        assert rank_within_condition(rank) == seen[condition.name]
        seen[condition.name] += 1
