import pytest

from fwdecg.errors import ConfigError
from fwdecg.tuning import proposals
from fwdecg.tuning.proposals import make_proposals
from fwdecg.tuning.tuning_config import TuningConfig

SPACE = {
    "model.channels": {"choice": [[4, 8], [8, 16]]},
    "model.hidden_size": {"integer": [4, 12]},
    "model.dropout": {"uniform": [0.0, 0.8]},
    "training.learning_rate": {"loguniform": [1e-4, 1e-1]},
}


def config(searcher, **values):
    return TuningConfig(searcher=searcher, space=SPACE, **values)


def r2(settings):
    """The result of a trial, which is best at a dropout of 0.3."""
    return 1.0 - (settings["model.dropout"] - 0.3) ** 2


def propose(searcher, count, *, known=(), **values):
    """The settings of the trials after the known ones, up to `count` trials, one at a time."""
    source = make_proposals(config(searcher, **values))
    for number, settings in enumerate(known):
        source.tell(number, settings, r2(settings))
    settings = []
    for number in range(len(known), count):
        settings.append(source.ask(number))
        source.tell(number, settings[-1], r2(settings[-1]))
    return settings


@pytest.mark.parametrize("searcher", ["random", "optuna"])
def test_same_seed_proposes_the_same_settings(searcher):
    first = propose(searcher, 14)
    assert first == propose(searcher, 14)
    assert first != propose(searcher, 14, seed=2)
    for settings in first:
        assert settings["model.channels"] in ([4, 8], [8, 16])
        assert 4 <= settings["model.hidden_size"] <= 12


@pytest.mark.parametrize("searcher", ["random", "optuna"])
def test_restarted_search_proposes_the_same_settings(searcher):
    whole = propose(searcher, 14)
    assert propose(searcher, 14, known=whole[:12]) == whole[12:]


def test_optuna_learns_from_results():
    late = propose("optuna", 40)[20:]
    mean = sum(r2(settings) for settings in late) / len(late)
    drawn = propose("random", 40, trials=40)[20:]
    # Of uniform draws (dropout - 0.3)^2 averages 0.063; the estimator proposes values near 0.3.
    assert mean > sum(r2(settings) for settings in drawn) / len(drawn)
    assert mean > 1.0 - 0.03


def test_optuna_proposes_something_else_after_a_failure():
    source = make_proposals(config("optuna"))
    first = source.ask(0)
    source.tell(0, first, None)
    assert source.ask(1) != first


def test_missing_optuna_is_named(monkeypatch):
    monkeypatch.setattr(proposals, "optuna", None)
    with pytest.raises(ConfigError, match=r"tuning.searcher = 'optuna': the package optuna is not"):
        make_proposals(config("optuna"))
