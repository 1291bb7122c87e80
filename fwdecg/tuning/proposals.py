"""Where the settings of trials come from: drawn at random, or proposed by Optuna.

Both depend on the seed, a trial's number and, with Optuna, on the results known by then and on the
trials that run. So a search at random goes on after an interruption as it would have gone on; one
by Optuna no longer sees the trials that ran then.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from fwdecg.errors import ConfigError
from fwdecg.tuning.search_space import (
    CHOICE,
    INTEGER,
    LOGUNIFORM,
    Dimension,
    Settings,
    draw_settings,
)
from fwdecg.tuning.tuning_config import OPTUNA, TuningConfig

try:
    import optuna
except ModuleNotFoundError:  # an extra
    optuna = None  # type: ignore[assignment]


@runtime_checkable
class Proposals(Protocol):
    """Settings for trials 0, 1, 2, ..., asked for in this order."""

    def ask(self, number: int) -> Settings:
        """The settings of a trial."""
        ...

    def tell(self, number: int, settings: Settings, r2: float | None) -> None:
        """Take notice of a trial's result; None if it failed."""
        ...


def make_proposals(config: TuningConfig) -> Proposals:
    """What a configuration asks for.

    Raises:
        ConfigError: the space is smaller than the number of trials, or Optuna is not installed.
    """
    if config.searcher == OPTUNA:
        return OptunaProposals(config.dimensions, config.seed)
    return RandomProposals(draw_settings(config.dimensions, config.seed, config.trials))


class RandomProposals:
    """Settings drawn beforehand."""

    def __init__(self, drawn: Sequence[Settings]) -> None:
        """Hand out the settings drawn for each trial."""
        self._drawn = drawn

    def ask(self, number: int) -> Settings:
        """The settings drawn for a trial."""
        return self._drawn[number]

    def tell(self, number: int, settings: Settings, r2: float | None) -> None:
        """Nothing: what was drawn stays."""


class OptunaProposals:
    """Settings from Optuna's tree-structured Parzen estimator."""

    def __init__(self, space: Sequence[Dimension], seed: int) -> None:
        """A study without results.

        Raises:
            ConfigError: Optuna is not installed.
        """
        if optuna is None:
            raise ConfigError(
                "tuning.searcher = 'optuna': the package optuna is not installed; "
                'pip install -c constraints.txt -e ".[optuna]", or choose random'
            )
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._seed = space, seed
        self._distributions = {dimension.name: _distribution(dimension) for dimension in space}
        self._study = optuna.create_study(direction="maximize")
        self._asked: dict[int, Any] = {}

    def ask(self, number: int) -> Settings:
        """The estimator's proposal, after the results it was told, apart from trials that run."""
        # A sampler of its own for each trial: its draws do not depend on those before.
        self._study.sampler = optuna.samplers.TPESampler(
            seed=(self._seed + number) % 2**32, constant_liar=True
        )
        trial = self._asked[number] = self._study.ask(self._distributions)
        return {d.name: _value(d, trial.params[d.name]) for d in self._space}

    def tell(self, number: int, settings: Settings, r2: float | None) -> None:
        """Add a result; of a failed trial there is nothing to learn."""
        asked = self._asked.pop(number, None)
        if asked is not None:  # it runs no longer; its place is taken by what was really tried
            self._study.tell(asked, state=optuna.trial.TrialState.FAIL)
        if r2 is not None:
            params = {d.name: _parameter(d, settings[d.name]) for d in self._space}
            self._study.add_trial(
                optuna.trial.create_trial(
                    params=params, distributions=self._distributions, value=r2
                )
            )


def _distribution(dimension: Dimension) -> Any:
    kinds = optuna.distributions
    if dimension.kind == CHOICE:  # its values by their places, for Optuna takes no lists
        return kinds.CategoricalDistribution(range(len(dimension.values)))
    low, high = dimension.values
    if dimension.kind == INTEGER:
        return kinds.IntDistribution(low, high)
    return kinds.FloatDistribution(low, high, log=dimension.kind == LOGUNIFORM)


def _value(dimension: Dimension, parameter: Any) -> Any:
    if dimension.kind == CHOICE:
        return dimension.values[parameter]
    return parameter if dimension.kind == INTEGER else dimension.rounded(parameter)


def _parameter(dimension: Dimension, value: Any) -> Any:
    return dimension.values.index(value) if dimension.kind == CHOICE else value
