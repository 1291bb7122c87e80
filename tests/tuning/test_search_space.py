import math
import re

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.errors import ConfigError
from fwdecg.training.recipe import Recipe
from fwdecg.tuning.search_space import Dimension, check_space, draw_settings, read_space

SPACE = {
    "model.hidden_size": {"choice": [64, 128]},
    "model.dropout": {"uniform": [0.0, 0.4]},
    "training.learning_rate": {"loguniform": [1e-4, 1e-2]},
    "training.patience": {"integer": [3, 6]},
}


def test_quoted_and_nested_names_are_equivalent():
    nested = {
        "model": {name.split(".")[1]: SPACE[name] for name in list(SPACE)[:2]},
        "training": {name.split(".")[1]: SPACE[name] for name in list(SPACE)[2:]},
    }
    assert read_space(nested) == read_space(SPACE)
    assert [dimension.name for dimension in read_space(SPACE)] == list(SPACE)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (3, "must be a table with one of choice, uniform, loguniform, integer"),
        ({}, "must be a table with one of"),
        ({"uniform": [0, 1], "choice": [1]}, "must be a table with one of"),
        ({"choice": 3}, "choice must be a list"),
        ({"choice": []}, "must have values, all different"),
        ({"choice": [1, 2, 1]}, "must have values, all different"),
        ({"uniform": [1]}, "must be two numbers, [low, high]"),
        ({"uniform": [True, 2]}, "must be two numbers"),
        ({"uniform": ["a", "b"]}, "must be two numbers"),
        ({"uniform": [2.0, 1.0]}, "must run from low to high"),
        ({"uniform": [0.0, math.inf]}, "must run from low to high"),
        ({"integer": [1.5, 3]}, "must be two whole numbers"),
        ({"loguniform": [0.0, 1.0]}, "low must be above 0"),
    ],
)
def test_invalid_dimensions_are_refused(table, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        read_space({"model.dropout": table})
    assert str(error.value).startswith("tuning.space.model.dropout = ")


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "tuning.space is empty; name at least one key"),
        ({"model.hiden_size": {"choice": [8]}}, "unknown key model.hiden_size; known here:"),
        ({"library.cases": {"choice": [8]}}, "library.cases: must be a key of model or training"),
        ({"training.workers": {"choice": [1, 2]}}, "training.workers: does not change the result"),
        ({"training.seed.x": {"choice": [1]}}, "training.seed.x: seed is not a section"),
        ({"model.hidden_size": {"choice": [8, 0]}}, "hidden_size = 0: must be at least 1"),
        ({"model.dropout": {"uniform": [0.0, 1.0]}}, "dropout = 1.0: must be below 1"),
        ({"training.loss.spectral_weight": {"uniform": [-1, 1]}}, "must be at least 0"),
        ({"model.time_embedding_size": {"integer": [2, 4]}}, "time_embedding_size = 3: must be"),
    ],
)
def test_values_are_checked_against_the_rules_of_their_keys(space, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        check_space(read_space(space), Recipe().with_settings)
    assert str(error.value).startswith("tuning.space")


@hypothesis.settings(max_examples=25)  # each example draws up to 20 settings
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 20))
def test_draws_are_reproducible_different_and_valid(seed, count):
    space = read_space(SPACE)
    drawn = draw_settings(space, seed, count)
    assert drawn == draw_settings(space, seed, 20)[:count]
    assert drawn != draw_settings(space, seed + 1, count)
    assert len({str(settings) for settings in drawn}) == count
    for settings in drawn:
        assert list(settings) == list(SPACE)
        assert settings["model.hidden_size"] in (64, 128)
        assert 0.0 <= settings["model.dropout"] <= 0.4
        assert 1e-4 <= settings["training.learning_rate"] <= 1e-2
        assert settings["training.patience"] in (3, 4, 5, 6)
        Recipe().with_settings(settings)


def test_range_with_too_few_rounded_values_is_refused():
    space = [Dimension("x", "uniform", (0.10001, 0.10002))]  # every draw rounds to 0.1
    with pytest.raises(ConfigError, match="only 1 different settings could be drawn; lower it or"):
        draw_settings(space, 0, 2)


def test_loguniform_draws_are_uniform_in_the_logarithm():
    low, high = 1e-4, 1e-2
    dimension = Dimension("x", "loguniform", (low, high))
    rng = np.random.default_rng(0)
    logs = np.log([dimension.draw(rng) for _ in range(2000)])
    fraction = (logs - math.log(low)) / (math.log(high) - math.log(low))
    # Mean and standard deviation of a uniform variable, within four standard errors.
    assert fraction.mean() == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / 2000))
    assert fraction.std() == pytest.approx(math.sqrt(1 / 12), abs=0.02)


def test_rounding_stays_inside_the_range():
    dimension = Dimension("x", "uniform", (0.12344, 0.98765432))
    assert dimension.rounded(0.12344) == 0.12344
    assert dimension.rounded(0.98765432) == 0.98765432
    assert dimension.rounded(0.512345) == 0.5123


def test_space_with_fewer_settings_than_trials_is_refused():
    space = read_space(
        {"model.hidden_size": {"choice": [4, 8]}, "training.seed": {"integer": [1, 3]}}
    )
    assert len(draw_settings(space, 0, 6)) == 6
    with pytest.raises(ConfigError, match=r"tuning.trials = 7: must be at most 6, the number of"):
        draw_settings(space, 0, 7)
