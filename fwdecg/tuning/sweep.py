"""A search as Ray Tune runs it: who proposes trials, who stops them, what is told meanwhile.

Ray Tune starts the trials and asks; what it is answered comes from `proposals`, from ASHA and from
the folders of the trials. Tune's own files are not read again.
"""

import logging
import os
import time
from dataclasses import replace
from typing import Any

import numpy as np
import ray
from ray import tune
from ray.exceptions import OutOfMemoryError
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search import Searcher

from fwdecg.errors import ConfigError, ResultError, RunError
from fwdecg.runtime.nodes import cluster_may_grow
from fwdecg.runtime.ray_private import trial_failure
from fwdecg.runtime.telemetry import FAILURES, RETRIES, SWEEP
from fwdecg.tuning.live_table import SweepProgress
from fwdecg.tuning.proposals import Proposals
from fwdecg.tuning.trial import (
    DRIVER_CPUS,
    EPOCH,
    FAILURE,
    NUMBER,
    OBJECTIVE,
    SETTINGS,
    SearchContext,
    run_trial,
    worker_resources,
)
from fwdecg.tuning.trials import FAILED, FINISHED, STOPPED, TrialFolders, TrialOutcome
from fwdecg.tuning.tuning_config import TuningConfig

logger = logging.getLogger(__name__)

TUNE_FILES = "ray"  # folder of Ray Tune's own files
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the trials' folders hold what they would write
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C stays an interrupt
    "RAY_AIR_NEW_OUTPUT": "0",  # its tables would mix with those of `live_table`
}


def run_sweep(context: SearchContext, proposals: Proposals) -> None:
    """Run the trials that have no outcome yet; those that have only tell it again.

    Args:
        context: what they have in common.
        proposals: of their settings.

    Raises:
        ConfigError: there is no room for a single trial.
        RunError: nodes ran out of memory once too often.
    """
    os.environ.update(ENVIRONMENT)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # `SweepProgress` tells of failures
    retries = context.recipe.training.retries
    for left in range(retries, -1, -1):
        try:
            _fit(context, proposals)
        except RuntimeError as error:
            # Tune ends for want of memory, which Ray tells of by an error that Tune does not know.
            if not isinstance(error.__cause__, OutOfMemoryError):
                raise
            (RETRIES if left else FAILURES).add(SWEEP)
            logger.warning("a trial was killed, as its node was low on memory")
        else:
            return
    raise RunError(
        f"nodes ran out of memory {retries + 1} times: lower tuning.concurrency, or raise "
        "tuning.cpus_per_trial, so that fewer trials run on one"
    )


def _fit(context: SearchContext, proposals: Proposals) -> None:
    tuning = context.tuning
    resources, concurrency = plan_resources(tuning)
    np.random.seed(tuning.seed)  # ASHA draws the brackets from it
    tune.Tuner(
        tune.with_resources(tune.with_parameters(run_trial, context=context), resources),
        tune_config=tune.TuneConfig(
            num_samples=tuning.trials,
            search_alg=SweepSearcher(proposals, context.folders),
            scheduler=SweepScheduler(tuning, context.recipe.training.epochs, context.folders),
            max_concurrent_trials=concurrency or None,
            time_budget_s=tuning.time_budget_s or None,
            # A worker is worth keeping: importing torch takes seconds.
            reuse_actors=tuning.workers_per_trial == 1,
        ),
        run_config=tune.RunConfig(
            name=time.strftime("%Y%m%d-%H%M%S"),
            storage_path=str(context.folders.root / TUNE_FILES),
            failure_config=tune.FailureConfig(max_failures=context.recipe.training.retries),
            verbose=0,
        ),
    ).fit()


def with_gpus(tuning: TuningConfig, device: str) -> TuningConfig:
    """Return the configuration with one GPU per worker where training.device asks for GPUs."""
    found = ray.cluster_resources().get("GPU", 0) >= tuning.workers_per_trial
    if tuning.gpus_per_trial or device == "cpu" or (device == "auto" and not found):
        return tuning
    return replace(tuning, gpus_per_trial=float(tuning.workers_per_trial))


def plan_resources(tuning: TuningConfig) -> tuple[dict[str, float], int]:
    """What Ray Tune reserves for a trial, and how many run at a time (0: as many as fit).

    The process of a trial with several workers reserves next to nothing and waits for them: if
    there were more such processes than there is room for workers, Ray Tune would not know. Where
    nodes may join, `tuning.concurrency` says how much room there will be.

    Raises:
        ConfigError: not even one trial fits into a cluster of this machine alone.
    """
    several = tuning.workers_per_trial > 1
    workers = tuning.workers_per_trial
    own = {"CPU": tuning.cpus_per_trial} | (
        {"GPU": tuning.gpus_per_trial} if tuning.gpus_per_trial else {}
    )
    needed = worker_resources(tuning) if several else own
    slots = sum(
        _workers_that_fit(node["Resources"], needed) for node in ray.nodes() if node["Alive"]
    )
    if slots < workers:
        complaint = (
            f"tuning.cpus_per_trial = {tuning.cpus_per_trial:g}, tuning.gpus_per_trial = "
            f"{tuning.gpus_per_trial:g}, tuning.workers_per_trial = {workers}: the cluster has "
            f"room for {slots} such workers, with {ray.cluster_resources().get('CPU', 0):g} "
            f"processors and {ray.cluster_resources().get('GPU', 0):g} GPUs"
        )
        if not cluster_may_grow():
            raise ConfigError(f"{complaint}; lower them")
        logger.warning(
            "%s; waiting for more nodes: if none come, stop it and lower them", complaint
        )
    if not several:
        return {name.lower(): amount for name, amount in own.items()}, tuning.concurrency
    room = max(slots // workers, 1)
    wanted = tuning.concurrency or room
    return {"cpu": DRIVER_CPUS}, wanted if cluster_may_grow() else min(wanted, room)


def _workers_that_fit(node: dict[str, float], needed: dict[str, float]) -> int:
    """How many workers fit on a node."""
    return min(int(node.get(name, 0.0) / amount + 1e-6) for name, amount in needed.items())


class SweepSearcher(Searcher):
    """Gives each trial of Ray Tune its number and settings."""

    def __init__(self, proposals: Proposals, folders: TrialFolders) -> None:
        """Tell the proposals how the trials that have ended did."""
        super().__init__(metric=OBJECTIVE, mode="max")
        self._proposals, self._folders = proposals, folders
        self._numbers: dict[str, int] = {}
        self._next = 0
        self._told: set[int] = set()
        for number in folders.numbers():
            if folders.outcome(number) is not None:
                history = folders.history(number)
                self._report_result(number, history[-1].best_r2 if history else None)

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The configuration of the next trial: as it was before an interruption, or a new one."""
        number = self._next
        settings = self._folders.settings(number)
        if settings is None:
            settings = self._proposals.ask(number)
            self._folders.create(number, settings)
        self._numbers[trial_id] = number
        self._next += 1
        return {NUMBER: number, SETTINGS: settings}

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, Any] | None = None,
        error: bool = False,  # noqa: ARG002
    ) -> None:
        """Pass on the result of a trial that has ended."""
        number = self._numbers[trial_id]
        self._report_result(number, (result or {}).get(OBJECTIVE))

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: the folders of the trials hold all."""

    def _report_result(self, number: int, r2: float | None) -> None:
        outcome, settings = self._folders.outcome(number), self._folders.settings(number)
        if number in self._told or outcome is None or settings is None:
            return
        self._told.add(number)
        self._proposals.tell(number, settings, None if outcome.status == FAILED else r2)


class SweepScheduler(ASHAScheduler):
    """ASHA on the best validation R^2 so far; leaves in a trial's folder how it ended."""

    def __init__(self, tuning: TuningConfig, epochs: int, folders: TrialFolders) -> None:
        """Rungs as the configuration has them."""
        self._epochs = epochs
        super().__init__(
            time_attr=EPOCH,
            metric=OBJECTIVE,
            mode="max",
            max_t=self._epochs,
            grace_period=tuning.grace_period,
            reduction_factor=tuning.reduction_factor,
            brackets=tuning.brackets,
        )
        self._folders = folders
        self._table = SweepProgress(folders, trials=tuning.trials, epochs=self._epochs)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Whether a trial goes on. One that ended before an interruption only fills its rungs."""
        if self._folders.outcome(trial.config[NUMBER]) is not None:
            super().on_trial_result(tune_controller, trial, result)
            return TrialScheduler.CONTINUE
        if FAILURE in result:
            self._close(trial, TrialOutcome(FAILED, result[FAILURE]))
            return TrialScheduler.STOP
        self._table.epoch(trial.config[NUMBER], trial.config[SETTINGS], result)
        decision = super().on_trial_result(tune_controller, trial, result)
        if decision == TrialScheduler.STOP:
            status = FINISHED if result[EPOCH] >= self._epochs else STOPPED
            self._close(trial, TrialOutcome(status))
        return decision

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Note a trial whose worker was lost once too often; before that it starts again."""
        if trial.should_recover():
            RETRIES.add(SWEEP)
            return
        error = trial_failure(trial)
        if isinstance(error, ResultError):  # of its node: the same command tries it elsewhere
            logger.error("trial %d: %s", trial.config[NUMBER], getattr(error, "cause", error))
            return
        reason = (
            "its worker was killed for want of memory"
            if "low on memory" in str(error)
            else "its worker was lost"
        )
        times = f"{trial.num_failures} times" if trial.num_failures > 1 else "once"
        self._close(trial, TrialOutcome(FAILED, f"{reason}, {times}"))
        super().on_trial_error(tune_controller, trial)

    def _close(self, trial: Trial, outcome: TrialOutcome) -> None:
        number = trial.config[NUMBER]
        self._folders.record_outcome(number, outcome)
        self._table.end(number, trial.config[SETTINGS], outcome)
