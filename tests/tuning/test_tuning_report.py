import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.tuning.tuning_report import pareto_front

POINTS = st.tuples(st.integers(0, 20).map(float), st.integers(0, 20).map(float))


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([], []),
        ([(1.0, 0.5)], [0]),
        ([(2.0, 0.9), (1.0, 0.5), (3.0, 0.7)], [1, 0]),
        ([(1.0, 0.5), (1.0, 0.6)], [1]),
        ([(1.0, 0.5), (2.0, 0.5)], [0]),
    ],
)
def test_pareto_front_by_hand(points, front):
    assert pareto_front(points) == front


@given(points=st.lists(POINTS, min_size=1, max_size=30))
def test_pareto_front_holds_the_unbeaten_points(points):
    front = pareto_front(points)
    for index in range(len(points)):
        cost, gain = points[index]
        beaten = any(c <= cost and g >= gain and (c, g) != (cost, gain) for c, g in points)
        assert beaten == (points[index] not in [points[i] for i in front])
