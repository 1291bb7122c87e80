"""The configuration of a hyperparameter search."""

from dataclasses import dataclass
from typing import Any

from fwdecg.config import check_settings, setting
from fwdecg.tuning.search_space import Dimension, read_space

RANDOM, OPTUNA = SEARCHERS = ("random", "optuna")


@dataclass(frozen=True, kw_only=True)
class TuningConfig:
    """Asynchronous successive halving (ASHA) over trials, by the validation split's R^2."""

    path: str = setting(
        "", "folder of the search; default: tuning/ in results.path", identity=False
    )
    space: dict[str, Any] = setting(
        dict,
        'keys of model and training that vary, each e.g. "model.hidden_size" = {choice = [64, '
        "128]}; also uniform, loguniform or integer = [low, high]",
    )
    trials: int = setting(
        16, "settings tried; raised later, a search goes on", identity=False, at_least=1
    )
    epochs: int = setting(
        0, "of a trial that is never stopped; 0 takes training.epochs", at_least=0
    )
    grace_period: int = setting(
        6,
        "epochs before a trial may be stopped; the number of epochs: none is stopped early",
        at_least=1,
    )
    reduction_factor: float = setting(
        3.0,
        "of the trials that come to a rung the best 1/factor go on, to a rung that is by the "
        "factor later",
        at_least=1.5,
    )
    brackets: int = setting(
        1, "groups of trials, each with a grace period longer by the factor", at_least=1
    )
    searcher: str = setting(
        RANDOM,
        "random, or optuna: its tree-structured Parzen estimator (needs fwdecg[optuna])",
        choices=SEARCHERS,
    )
    seed: int = setting(1, "of the drawn settings", at_least=0, at_most=2**32 - 1)
    concurrency: int = setting(
        0, "trials at a time; 0 takes as many as there is room for", identity=False, at_least=0
    )
    time_budget_s: float = setting(
        0.0,
        "after which trials end unfinished; the same command goes on with them; 0: no limit",
        identity=False,
        at_least=0,
    )
    cpus_per_trial: float = setting(1.0, "processors of each trial", identity=False, at_least=0.1)
    gpus_per_trial: float = setting(
        0.0,
        "of each trial; a fraction lets trials share one; 0 leaves it to training.device",
        identity=False,
        at_least=0,
    )
    workers_per_trial: int = setting(
        1, "data-parallel processes that share a trial and what it has", identity=False, at_least=1
    )

    def __post_init__(self) -> None:
        """Check each value."""
        check_settings(self)
        read_space(self.space)

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """What varies."""
        return read_space(self.space)
