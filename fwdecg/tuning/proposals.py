"""Sources of the trials' settings: random draws, or proposals of Optuna.

This module uses Optuna directly instead of Ray Tune's `OptunaSearch`, which has one sampler for the
whole search. If that sampler is rebuilt from the known results after a restart, it proposes its
first settings again. If it is restored from Ray Tune's own files, the search cannot be extended.
Here a proposal depends only on the seed, the trial's number, the results known so far and the
settings of the running trials.
"""

from collections.abc import Sequence
from typing import Any

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
except ModuleNotFoundError:  # an optional dependency
    optuna = None  # type: ignore[assignment]


class Proposals:
    """Settings drawn before the search starts, so that results do not influence them.

    A subclass may propose settings that depend on the results. Settings are requested for trials 0,
    1, 2, ... in this order.
    """

    def __init__(self, drawn: Sequence[Settings]) -> None:
        """Store the drawn settings, one entry per trial."""
        self._drawn = drawn

    def ask(self, number: int) -> Settings:
        """Return the settings of a trial."""
        return self._drawn[number]

    def tell(self, number: int, settings: Settings, r2: float | None) -> None:
        """Add the best validation R^2 of a trial that ended; None if it failed."""


def make_proposals(config: TuningConfig) -> Proposals:
    """Return the source of settings that a configuration selects.

    Raises:
        ConfigError: the space has fewer settings than there are trials, or Optuna is missing.
    """
    if config.searcher == OPTUNA:
        return OptunaProposals(config.dimensions, config.seed)
    return Proposals(draw_settings(config.dimensions, config.seed, config.trials))


class OptunaProposals(Proposals):
    """Settings proposed by Optuna's tree-structured Parzen estimator.

    After a restart the estimator does not know which trials ran at the same time, so proposals may
    differ from those of an uninterrupted search with several trials at a time.
    """

    def __init__(self, space: Sequence[Dimension], seed: int) -> None:
        """Start a study without results.

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
        self._running: dict[int, Any] = {}

    def ask(self, number: int) -> Settings:
        """Propose settings from the known results, away from the settings of running trials."""
        # A new sampler for each trial makes its draws independent of earlier proposals.
        self._study.sampler = optuna.samplers.TPESampler(
            seed=(self._seed + number) % 2**32, constant_liar=True
        )
        trial = self._running[number] = self._study.ask(self._distributions)
        return {d.name: _from_parameter(d, trial.params[d.name]) for d in self._space}

    def tell(self, number: int, settings: Settings, r2: float | None) -> None:
        """Add a result; a failed trial adds nothing."""
        running = self._running.pop(number, None)
        if running is not None:
            # The trial ran with rounded settings, which replace the proposal in the study.
            self._study.tell(running, state=optuna.trial.TrialState.FAIL)
        if r2 is not None:
            params = {d.name: _to_parameter(d, settings[d.name]) for d in self._space}
            self._study.add_trial(
                optuna.trial.create_trial(
                    params=params, distributions=self._distributions, value=r2
                )
            )


def _distribution(dimension: Dimension) -> Any:
    kinds = optuna.distributions
    if dimension.kind == CHOICE:  # by index, because Optuna does not accept lists as choices
        return kinds.CategoricalDistribution(range(len(dimension.values)))
    low, high = dimension.values
    if dimension.kind == INTEGER:
        return kinds.IntDistribution(low, high)
    return kinds.FloatDistribution(low, high, log=dimension.kind == LOGUNIFORM)


def _from_parameter(dimension: Dimension, parameter: Any) -> Any:
    if dimension.kind == CHOICE:
        return dimension.values[parameter]
    return parameter if dimension.kind == INTEGER else dimension.rounded(parameter)


def _to_parameter(dimension: Dimension, value: Any) -> Any:
    return dimension.values.index(value) if dimension.kind == CHOICE else value
