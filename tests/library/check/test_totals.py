"""Each disagreement among all cases of a library is reported."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from fwdecg.cases.splits import SHIFTS, assign_case
from fwdecg.library.check.rows import CaseSummary
from fwdecg.library.check.totals import (
    check_balance,
    check_case_ids,
    check_disjoint,
    check_statistics,
    check_totals,
)
from fwdecg.library.manifest import count_cases
from fwdecg.library.paths import Part
from fwdecg.library.statistics import combine_moments


def summary(case_id, shifts=(), **values):
    place = assign_case(case_id, shifts)
    case = CaseSummary(
        case_id=case_id,
        file="part",
        condition=place.condition.name,
        split=place.split,
        seed=1000 + case_id,
        blocked_pixels=10,
        pattern=str(case_id).encode(),
        moments=np.array([[2.0] * 3, [case_id] * 3, [case_id**2] * 3]),
        redraws=0,
        cv_error_estimate=0.01,
        active_fraction_at_end=0.0,
        node_updates=100,
    )
    return case._replace(**values)


@pytest.fixture
def cases():
    return [summary(case_id) for case_id in range(10)]


@pytest.fixture
def lines(run_check):
    return lambda *arguments: [fault.line for fault in run_check(*arguments)[1]]


@pytest.mark.parametrize(
    ("case_ids", "quarantined", "unread", "cases", "expected"),
    [
        (range(10), (), (), 10, []),
        (range(8), (8,), (Part(9, 10),), 10, []),
        ((0, 1, 1), (), (), 2, ["case 1: occurs in 2 rows: must occur in one"]),
        ((0, 1), (1,), (), 2, ["case 1: is both in quarantine and in a part; delete quarantine/"]),
        (range(10), (), (), 8, ["case 8: the library's ids are 0 to 7", "case 9: the library's"]),
        ((-(2**63), 0), (), (), 1, [f"case {-(2**63)}: the library's ids are 0 to 0"]),
        ((0, 2), (), (), 3, ["case 1: in no part and not in quarantine; build the library again"]),
        (range(4), (), (), 10**18, ["cases 4 to 999999999999999999: in no part and not in quar"]),
    ],
)
def test_each_case_id_occurs_exactly_once(lines, case_ids, quarantined, unread, cases, expected):
    found = lines(check_case_ids, list(case_ids), quarantined, unread, cases)
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"counts": None}, "counts is None: its cases give"),
        ({"quarantined": [4]}, "quarantined is [4]: its cases give []"),
        ({"redraws": -1}, "redraws is -1: its cases give 3"),
        ({"largest_cv_error_estimate": 1}, "largest_cv_error_estimate is 1: its cases give 0.02"),
        ({"cases_active_at_end": 1}, "cases_active_at_end is 1: its cases give 2"),
        ({"cost": 3}, "cost is 3: its cases give {'node_updates': 1000}"),
        ({"cost": {"node_updates": 3}}, "cost.node_updates is 3: its cases give 1000"),
    ],
)
def test_wrong_totals_of_the_manifest_are_reported(lines, cases, values, problem):
    cases[0] = cases[0]._replace(redraws=3, cv_error_estimate=0.02, active_fraction_at_end=0.5)
    cases[1] = cases[1]._replace(active_fraction_at_end=0.5)
    manifest = {
        "counts": count_cases(range(10), (), ()),
        "quarantined": [],
        "redraws": 3,
        "largest_cv_error_estimate": 0.02,
        "cases_active_at_end": 2,
        "cost": {"node_updates": 1000, "last_run": {}},
    }
    assert lines(check_totals, manifest, cases, (), ()) == []
    (line,) = lines(check_totals, manifest | values, cases, (), ())
    assert line.startswith(f"manifest.json: {problem}")


@pytest.mark.parametrize(
    ("field", "what"), [("seed", "seed"), ("pattern", "non-conducting patches")]
)
def test_a_copy_in_another_split_is_reported(lines, cases, field, what):
    assert lines(check_disjoint, cases) == []
    cases[9] = cases[9]._replace(**{field: getattr(cases[2], field)})
    (line,) = lines(check_disjoint, cases)
    assert line.startswith(f"case 9: has the same {what} as case 2, but they are in different spl")


def test_few_blocked_pixels_are_equal_by_chance(lines, cases):
    few = [case._replace(pattern=b"", blocked_pixels=7) for case in cases]
    assert lines(check_disjoint, few) == []


def test_the_balance_of_the_splits_follows_the_rule(lines):
    cases = [summary(case_id, SHIFTS) for case_id in range(70)]
    assert lines(check_balance, cases, SHIFTS) == []
    without = lines(check_balance, cases, ())
    assert "condition healthy: has 1 cases in split test_stimulus: must have 0" in without
    cases[50] = cases[50]._replace(split="train")
    assert len(lines(check_balance, cases, SHIFTS)) == 2  # one case too many, and one too few


def test_statistics_agree_within_rounding(lines, cases):
    assert lines(check_statistics, statistics(cases), cases) == []
    assert lines(check_statistics, {}, [case._replace(split="test") for case in cases]) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cases", 7),
        ("u_mean", "a"),
        ("phi_e_mean", ["a", 1.0]),
        ("phi_e_mean", [1.0]),
        ("u_spread", None),
        ("phi_e_spread", {"a": []}),
    ],
)
def test_wrong_statistics_are_reported(lines, cases, name, value):
    (line,) = lines(check_statistics, statistics(cases) | {name: value}, cases)
    assert line.startswith(f"statistics.json: {name} is {value}: the training cases give")


def test_a_small_error_of_a_mean_is_reported(lines, cases):
    found = statistics(cases)
    found["u_mean"] += 1e-9 * found["u_spread"]
    assert len(lines(check_statistics, found, cases)) == 1


def statistics(cases):
    """The statistics of the training cases as they are stored."""
    training = [case.moments for case in cases if case.split == "train"]
    return json.loads(json.dumps(asdict(combine_moments(training, cases=len(training)))))
