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


def optuna(**values):
    return make_proposals(TuningConfig(searcher="optuna", space=SPACE, **values))


def r2(settings):
    """The result of a trial, which is best at a dropout of 0.3."""
    return 1.0 - (settings["model.dropout"] - 0.3) ** 2


def propose(count, *, known=(), **values):
    """The settings of the trials after the known ones, up to `count` trials, one at a time."""
    source = optuna(**values)
    for number, settings in enumerate(known):
        source.tell(number, settings, r2(settings))
    settings = []
    for number in range(len(known), count):
        settings.append(source.ask(number))
        source.tell(number, settings[-1], r2(settings[-1]))
    return settings


def test_proposals_of_optuna_depend_on_seed_and_results_alone():
    whole = propose(14)
    assert propose(14, known=whole[:12]) == whole[12:]  # a restarted search
    assert propose(14, seed=2) != whole
    for settings in whole:
        assert settings["model.channels"] in ([4, 8], [8, 16])
        assert 4 <= settings["model.hidden_size"] <= 12


def test_optuna_learns_from_results():
    late = propose(40)[20:]
    # Of uniform draws (dropout - 0.3)^2 averages 0.063; the estimator proposes values near 0.3.
    assert sum(r2(settings) for settings in late) / len(late) > 1.0 - 0.03


def test_optuna_proposes_something_else_after_a_failure():
    source = optuna()
    first = source.ask(0)
    source.tell(0, first, None)
    assert source.ask(1) != first


def test_missing_optuna_is_named(monkeypatch):
    monkeypatch.setattr(proposals, "optuna", None)
    with pytest.raises(ConfigError, match=r"tuning.searcher = 'optuna': the package optuna is not"):
        optuna()
