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


def test_the_parameter_that_decides_has_all_the_importance():
    found = importances(SPACE, trials(lambda s: -np.log(s["rate"])), epochs=1)
    # Ranks of a monotone function are nearly linear in a uniform variable.
    assert found["rate"] > 0.95
    assert found["other"] < 0.2
    assert found["size"] < 0.2


def test_an_optimum_in_the_middle_counts():
    found = importances(SPACE, trials(lambda s: -abs(np.log10(s["rate"]) + 2)), epochs=1)
    assert found["rate"] > 0.8


def test_choices_count_by_value_not_by_order():
    found = importances(SPACE, trials(lambda s: {4: 0.1, 8: 0.9, 16: 0.2}[s["size"]]), epochs=1)
    assert found["size"] == pytest.approx(1.0)


def test_failed_trials_are_left_out():
    good = trials(lambda s: -np.log(s["rate"]))
    failed = [trial(99, -50.0, good[0].settings, FAILED)]
    assert importances(SPACE, good + failed, epochs=1) == importances(SPACE, good, epochs=1)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 6])
def test_too_few_trials_tell_nothing(count):
    few = trials(lambda s: s["rate"])[:count]
    assert importances(SPACE, few, epochs=1)["rate"] is None


def test_noise_has_no_importance_on_average():
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        x = rng.random(20)
        shares.append(adjusted_r2(np.column_stack([x, x**2]), rng.permutation(np.arange(20.0))))
    # Unbiased before the cut at 0; half of the draws lie there, the rest average near 0.1.
    assert np.mean(shares) < 0.1


def test_by_hand():
    # Groups of three, 0 and 1: all is explained. Alternating, so are the means 1/3 and 2/3: of the
    # spread of 3/2 there is 4/3 left, and its adjusted share is below nothing.
    y = np.repeat([0.0, 1.0], 3)
    assert adjusted_r2(y[:, None], y) == pytest.approx(1.0)
    assert adjusted_r2(np.tile([0.0, 1.0], 3)[:, None], y) == 0.0
    # x = 0..5: slope 4.5 / 17.5, so 1.5 - 4.5^2 / 17.5 is left with 4 degrees of freedom.
    x = np.arange(6.0)[:, None]
    assert adjusted_r2(x, y) == pytest.approx(1 - ((1.5 - 4.5**2 / 17.5) / 4) / (1.5 / 5))
    assert adjusted_r2(x[:5], y[:5]) is None
