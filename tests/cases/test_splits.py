from collections import Counter

import pytest

from fwdecg.cases.conditions import CONDITIONS, condition_of
from fwdecg.cases.splits import SPLITS, split_of


def counts(cases):
    return Counter((condition_of(case).name, split_of(case)) for case in range(cases))


def test_the_paper_split_is_240_30_30_in_balance():
    found = counts(300)
    for condition in CONDITIONS:
        total = 120 if condition.name == "fibrosis" else 60
        shares = [found[condition.name, split] / total for split in SPLITS]
        assert shares == [0.8, 0.1, 0.1]


@pytest.mark.parametrize("cases", [10, 20, 50])
def test_small_libraries_have_all_splits(cases):
    splits = Counter(split_of(case) for case in range(cases))
    assert min(splits[split] for split in SPLITS) >= 1
