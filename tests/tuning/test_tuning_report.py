import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.training.checkpoint import EpochRecord
from fwdecg.tuning.search_space import Dimension
from fwdecg.tuning.trials import FAILED, FINISHED, TrialRecord, pareto_front
from fwdecg.tuning.tuning_report import adjusted_r2, importances

SPACE = [
    Dimension("rate", "loguniform", (1e-4, 1.0)),
    Dimension("size", "choice", (4, 8, 16)),
    Dimension("other", "uniform", (0.0, 1.0)),
]
POINTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30)


def record(r2, *, settings=None, status=FINISHED, parameters=9):
    epoch = EpochRecord(
        epoch=1,
        train_loss=1.0,
        validation_loss=1.0,
        validation_r2=float(r2),
        validation_mae=1.0,
        best_r2=float(r2),
        learning_rate=1e-3,
        omega=1.0,
        seconds=1.0,
    )
    return TrialRecord(
        number=0,
        settings=settings or {},
        status=status,
        reason="",
        parameters=parameters,
        history=(epoch,),
    )


def records(result):
    """Records of 40 random settings, with R^2 as a function of the settings."""
    rng = np.random.default_rng(3)
    settings = [{d.name: d.draw(rng) for d in SPACE} for _ in range(40)]
    return [record(result(s), settings=s) for s in settings]


def test_deciding_key_has_all_the_importance():
    trials = records(lambda s: -np.log(s["rate"]))
    found = importances(SPACE, trials, 1)
    # The ranks of a monotone function are nearly linear in a uniform variable.
    assert found["rate"] > 0.95
    assert found["other"] < 0.2
    assert found["size"] < 0.2
    failed = record(-50.0, settings=trials[0].settings, status=FAILED)
    assert importances(SPACE, [*trials, failed], 1) == found


def test_importance_of_an_optimum_inside_a_range():
    found = importances(SPACE, records(lambda s: -abs(np.log10(s["rate"]) + 2)), 1)
    assert found["rate"] > 0.8


def test_order_of_choices_does_not_matter():
    found = importances(SPACE, records(lambda s: {4: 0.1, 8: 0.9, 16: 0.2}[s["size"]]), 1)
    assert found["size"] == pytest.approx(1.0)


@pytest.mark.parametrize("count", [0, 1, 6])
def test_too_few_trials_have_no_importance(count):
    few = records(lambda s: s["rate"])[:count]
    assert importances(SPACE, few, 1)["rate"] is None


def test_adjusted_r2_by_hand():
    # The regressor 0, 0, 0, 1, 1, 1 explains everything. The regressor 0, 1, 0, 1, 0, 1 leaves 4/3
    # of the total sum of squares 3/2, so the adjusted R^2 is negative and clipped to 0.
    y = np.repeat([0.0, 1.0], 3)
    assert adjusted_r2(y[:, None], y) == pytest.approx(1.0)
    assert adjusted_r2(np.tile([0.0, 1.0], 3)[:, None], y) == 0.0
    # x = 0, ..., 5: the slope is 4.5 / 17.5, so the residual sum of squares is 1.5 - 4.5^2 / 17.5
    # with 4 degrees of freedom.
    x = np.arange(6.0)[:, None]
    assert adjusted_r2(x, y) == pytest.approx(1 - ((1.5 - 4.5**2 / 17.5) / 4) / (1.5 / 5))


@given(points=POINTS)
def test_pareto_front_contains_the_unbeaten_trials(points):
    trials = [record(r2, parameters=parameters) for parameters, r2 in points]
    front = pareto_front(trials, "parameters")
    for cost, gain in points:
        beaten = any(c <= cost and g >= gain and (c, g) != (cost, gain) for c, g in points)
        assert beaten == ((cost, gain) not in [(t.parameters, t.best_r2) for t in front])


def test_pareto_front_is_sorted_by_cost_and_without_failed_trials():
    trials = [record(0.9, parameters=20), record(0.5, parameters=10), record(0.5, parameters=10)]
    failed = record(0.95, parameters=5, status=FAILED)
    assert pareto_front([*trials, failed], "parameters") == [trials[1], trials[0]]
