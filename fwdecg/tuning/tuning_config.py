"""Configuration of a hyperparameter search."""

from dataclasses import dataclass
from typing import Any

from fwdecg.config import Configuration, setting
from fwdecg.tuning.search_space import Dimension, read_space

RANDOM, OPTUNA = SEARCHERS = ("random", "optuna")


@dataclass(frozen=True, kw_only=True)
class TuningConfig(Configuration):
    """Asynchronous successive halving (ASHA) of trials by their validation R^2."""

    path: str = setting(
        "", "folder of the search; default: tuning/ in results.path", identity=False
    )
    space: dict[str, Any] = setting(
        dict,
        'keys of model and training that vary, e.g. "model.hidden_size" = {choice = [64, 128]}; '
        "also uniform, loguniform or integer = [low, high]",
    )
    trials: int = setting(
        16, "number of trials; a higher number extends a search", identity=False, at_least=1
    )
    epochs: int = setting(
        0, "epochs of a trial that is not stopped; 0: training.epochs", at_least=0
    )
    grace_period: int = setting(
        6,
        "epochs before a trial may be stopped; if set to the number of epochs, no trial is stopped",
        at_least=1,
    )
    reduction_factor: float = setting(
        3.0,
        "the best 1/factor of the trials at a rung continue to the next rung, which has factor "
        "times as many epochs",
        at_least=1.5,
    )
    brackets: int = setting(
        1,
        "groups of trials; each has reduction_factor times the grace period of the previous one",
        at_least=1,
    )
    searcher: str = setting(
        RANDOM,
        "random, or optuna: tree-structured Parzen estimator (needs fwdecg[optuna])",
        choices=SEARCHERS,
    )
    seed: int = setting(1, "seed of settings and brackets", at_least=0, at_most=2**32 - 1)
    concurrency: int = setting(
        0, "trials at a time; 0: as many as fit into the cluster", identity=False, at_least=0
    )
    time_budget_s: float = setting(
        0.0,
        "time after which trials are interrupted; the same command continues them; 0: no limit",
        identity=False,
        at_least=0,
    )
    cpus_per_trial: float = setting(1.0, "CPUs of each trial", identity=False, at_least=0.1)
    gpus_per_trial: float = setting(
        0.0,
        "GPUs of each trial, fractions allowed; 0: training.device decides",
        identity=False,
        at_least=0,
    )
    workers_per_trial: int = setting(
        1, "data-parallel workers that share a trial's CPUs and GPUs", identity=False, at_least=1
    )

    def __post_init__(self) -> None:
        """Check each value.

        Raises:
            ConfigError: a value breaks its rule, or the space is not valid.
        """
        super().__post_init__()
        read_space(self.space)

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """Dimensions of the search space."""
        return read_space(self.space)
