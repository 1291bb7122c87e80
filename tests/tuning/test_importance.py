import numpy as np
import pytest

from fwdecg.training.checkpoint import EpochRecord
from fwdecg.tuning.importance import adjusted_r2, importances
from fwdecg.tuning.search_space import Dimension
from fwdecg.tuning.trials import FAILED, FINISHED, TrialRecord

SPACE = [
    Dimension("rate", "loguniform", (1e-4, 1.0)),
    Dimension("size", "choice", (4, 8, 16)),
    Dimension("other", "uniform", (0.0, 1.0)),
]


def trial(number, r2, settings, status=FINISHED):
    record = EpochRecord(
        epoch=1,
        train_loss=1.0,
        validation_loss=1.0,
        validation_r2=r2,
        validation_mae=1.0,
        best_r2=r2,
        learning_rate=1e-3,
        omega=1.0,
        seconds=1.0,
    )
    return TrialRecord(
        number=number, settings=settings, status=status, reason="", parameters=9, history=(record,)
    )


def trials(result):
    rng = np.random.default_rng(3)
    settings = [{d.name: d.draw(rng) for d in SPACE} for _ in range(40)]
    return [trial(n, result(s), s) for n, s in enumerate(settings)]


def test_deciding_key_has_all_the_importance():
    found = importances(SPACE, trials(lambda s: -np.log(s["rate"])), epochs=1)
    # The ranks of a monotone function are nearly linear in a uniform variable.
    assert found["rate"] > 0.95
    assert found["other"] < 0.2
    assert found["size"] < 0.2


def test_optimum_inside_a_range_is_found():
    found = importances(SPACE, trials(lambda s: -abs(np.log10(s["rate"]) + 2)), epochs=1)
    assert found["rate"] > 0.8


def test_order_of_choices_does_not_matter():
    found = importances(SPACE, trials(lambda s: {4: 0.1, 8: 0.9, 16: 0.2}[s["size"]]), epochs=1)
    assert found["size"] == pytest.approx(1.0)


def test_failed_trials_are_left_out():
    good = trials(lambda s: -np.log(s["rate"]))
    failed = [trial(99, -50.0, good[0].settings, FAILED)]
    assert importances(SPACE, good + failed, epochs=1) == importances(SPACE, good, epochs=1)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 6])
def test_too_few_trials_give_none(count):
    few = trials(lambda s: s["rate"])[:count]
    assert importances(SPACE, few, epochs=1)["rate"] is None


def test_noise_has_no_importance_on_average():
    rng = np.random.default_rng(0)
    values = []
    for _ in range(200):
        x = rng.random(20)
        values.append(adjusted_r2(np.column_stack([x, x**2]), rng.permutation(np.arange(20.0))))
    # The adjusted R^2 of noise is unbiased before it is clipped at 0; clipping leaves about 0.04.
    assert np.mean(values) < 0.1


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
    assert adjusted_r2(x[:5], y[:5]) is None
