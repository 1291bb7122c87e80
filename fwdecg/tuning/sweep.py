"""A search on Ray Tune: the resources of its trials, and the run itself.

Ray Tune starts the trials. Their settings come from `proposals`, and `asha` decides which are
stopped. The folders of the trials hold all state; Ray Tune's own files are never read again.
"""

import logging
import os
import time
from dataclasses import replace
from typing import Any

import ray
from ray import tune
from ray.exceptions import OutOfMemoryError
from ray.tune.search import Searcher

from fwdecg.errors import ConfigError, RunError
from fwdecg.runtime.nodes import cluster_may_grow
from fwdecg.runtime.telemetry import FAILURES, RETRIES, SWEEP
from fwdecg.tuning.asha import SweepScheduler
from fwdecg.tuning.proposals import Proposals, make_proposals
from fwdecg.tuning.trial import (
    DRIVER_CPUS,
    NUMBER,
    OBJECTIVE,
    SETTINGS,
    SearchContext,
    run_trial,
    worker_resources,
)
from fwdecg.tuning.trials import FAILED, TrialFolders
from fwdecg.tuning.tuning_config import TuningConfig

logger = logging.getLogger(__name__)

TUNE_FILES = "ray"  # folder of Ray Tune's own files
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the trials' folders already hold this content
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C must raise KeyboardInterrupt
    # After a restart, a trial that failed in its first epoch reports nothing, not even the metric.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "RAY_AIR_NEW_OUTPUT": "0",  # its tables would mix with the tables of `SweepProgress`
}


def run_sweep(context: SearchContext) -> None:
    """Run the trials that have no outcome yet.

    Trials that ended in an earlier run only report their recorded epochs again, to fill the rungs
    of ASHA.

    Args:
        context: the parts of the search that every trial needs.

    Raises:
        ConfigError: the cluster has no room for a single trial.
        RunError: nodes ran out of memory more than `training.retries` times.
    """
    os.environ.update(ENVIRONMENT)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # `SweepProgress` logs failures
    retries = context.recipe.training.retries
    for retries_left in range(retries, -1, -1):
        try:
            _fit(context)
        except RuntimeError as error:
            # Tune aborts when Ray kills a trial for memory, because it does not handle
            # OutOfMemoryError.
            if not isinstance(error.__cause__, OutOfMemoryError):
                raise
            (RETRIES if retries_left else FAILURES).add(SWEEP)
            logger.warning("Ray killed a trial because its node ran low on memory")
        else:
            return
    raise RunError(
        f"nodes ran out of memory {retries + 1} times: lower tuning.concurrency, or raise "
        "tuning.cpus_per_trial, so that fewer trials run on a node"
    )


def _fit(context: SearchContext) -> None:
    tuning, training = context.tuning, context.recipe.training
    resources, concurrency = plan_resources(tuning)
    tune.Tuner(
        tune.with_resources(tune.with_parameters(run_trial, context=context), resources),
        tune_config=tune.TuneConfig(
            num_samples=tuning.trials,
            search_alg=SweepSearcher(make_proposals(tuning), context.folders),
            scheduler=SweepScheduler(tuning, training.epochs, context.folders),
            max_concurrent_trials=concurrency or None,
            time_budget_s=tuning.time_budget_s or None,
            # Starting a worker takes seconds, because it imports torch.
            reuse_actors=tuning.workers_per_trial == 1,
        ),
        run_config=tune.RunConfig(
            name=time.strftime("%Y%m%d-%H%M%S"),
            storage_path=str(context.folders.root / TUNE_FILES),
            failure_config=tune.FailureConfig(max_failures=training.retries),
            verbose=0,
        ),
    ).fit()


def with_gpus(tuning: TuningConfig, device: str) -> TuningConfig:
    """Return `tuning`, with one GPU per worker if none is configured and `device` selects GPUs."""
    found = ray.cluster_resources().get("GPU", 0) >= tuning.workers_per_trial
    if tuning.gpus_per_trial or device == "cpu" or (device == "auto" and not found):
        return tuning
    return replace(tuning, gpus_per_trial=float(tuning.workers_per_trial))


def plan_resources(tuning: TuningConfig) -> tuple[dict[str, float], int]:
    """Return the resources that Ray Tune reserves for a trial, and how many trials run at a time.

    The process of a trial with several workers reserves only `DRIVER_CPUS` and waits for the
    workers. Ray Tune would start more of these processes than there is room for workers, so this
    function limits the number of trials. On a cluster that may grow, `tuning.concurrency` may
    exceed the limit.

    Returns:
        Resources by name, and the number of trials at a time, where 0 means as many as fit.

    Raises:
        ConfigError: the cluster has no room for a single trial and cannot grow.
    """
    workers = tuning.workers_per_trial
    needed = worker_resources(tuning)
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    # The number of workers for which each node has room.
    room = sum(
        min(int(node.get(name, 0.0) / amount + 1e-6) for name, amount in needed.items())
        for node in alive
    )
    if room < workers:
        problem = _no_room(tuning, room)
        if not cluster_may_grow():
            raise ConfigError(f"{problem}; lower them")
        logger.warning("%s; waiting for more nodes; if none join, stop and lower them", problem)
    if workers == 1:
        return {name.lower(): amount for name, amount in needed.items()}, tuning.concurrency
    trials_that_fit = max(room // workers, 1)
    concurrency = tuning.concurrency or trials_that_fit
    if not cluster_may_grow():
        concurrency = min(concurrency, trials_that_fit)
    return {"cpu": DRIVER_CPUS}, concurrency


def _no_room(tuning: TuningConfig, room: int) -> str:
    total = ray.cluster_resources()
    return (
        f"tuning.cpus_per_trial = {tuning.cpus_per_trial:g}, tuning.gpus_per_trial = "
        f"{tuning.gpus_per_trial:g}, tuning.workers_per_trial = {tuning.workers_per_trial}: the "
        f"cluster has room for {room} such workers, with {total.get('CPU', 0):g} CPUs and "
        f"{total.get('GPU', 0):g} GPUs"
    )


class SweepSearcher(Searcher):
    """Give each trial of Ray Tune its number and settings."""

    def __init__(self, proposals: Proposals, folders: TrialFolders) -> None:
        """Pass the results of earlier runs on to the proposals."""
        super().__init__(metric=OBJECTIVE, mode="max")
        self._proposals, self._folders = proposals, folders
        self._numbers: dict[str, int] = {}  # by the trial's identifier in Ray Tune
        self._reported: set[int] = set()
        for number in folders.numbers():
            history = folders.history(number)
            self._report_result(number, history[-1].best_r2 if history else None)

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the configuration of the next trial, from its folder if it already has one."""
        number = self._numbers[trial_id] = len(self._numbers)
        settings = self._folders.settings(number)
        if settings is None:
            settings = self._proposals.ask(number)
            self._folders.create(number, settings)
        return {NUMBER: number, SETTINGS: settings}

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, Any] | None = None,
        error: bool = False,  # noqa: ARG002
    ) -> None:
        """Pass the result of a trial on to the proposals."""
        self._report_result(self._numbers[trial_id], (result or {}).get(OBJECTIVE))

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Save nothing, because the folders of the trials hold all state."""

    def _report_result(self, number: int, r2: float | None) -> None:
        """Pass the result of a trial that has ended on to the proposals, but only once."""
        outcome, settings = self._folders.outcome(number), self._folders.settings(number)
        if number in self._reported or outcome is None or settings is None:
            return
        self._reported.add(number)
        self._proposals.tell(number, settings, None if outcome.status == FAILED else r2)
