"""One trial of a search, in a process of Ray Tune: a training that reports each of its epochs.

Every trial keeps its checkpoints in its own folder. A trial that starts again, because its worker
or the whole search was lost, first reports the epochs it finished and then goes on after them. So
scheduler and searcher learn all there is to know from the trials, and need no memory of their own.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
from ray import tune
from ray.exceptions import RayError
from ray.tune.integration.ray_train import TuneReportCallback

from fwdecg.errors import ResultError, RunError
from fwdecg.library.reader import Library
from fwdecg.runtime.cost import CostMeter
from fwdecg.runtime.nodes import require_folder_visible
from fwdecg.runtime.progress import log_to_stdout
from fwdecg.runtime.storage import PERMANENT_ERRORS, Store
from fwdecg.runtime.telemetry import ITEMS, ITEMS_PER_SECOND, SWEEP
from fwdecg.training.recipe import Recipe
from fwdecg.training.run import EpochRecord, run_training
from fwdecg.training.training_folder import keep_checkpoint, newest_checkpoint
from fwdecg.training.training_plan import Plan, plan_training
from fwdecg.training.workers import WORKER_ENVIRONMENT
from fwdecg.tuning.search_space import Settings
from fwdecg.tuning.trial_folders import TrialFolders
from fwdecg.tuning.tuning_config import TuningConfig

logger = logging.getLogger(__name__)

# Keys of a trial's configuration and of its reports.
NUMBER, SETTINGS = "number", "settings"
EPOCH, OBJECTIVE, FAILURE = "epoch", "best_r2", "failure"

DRIVER_CPUS = 0.01  # of a process that only waits for a trial's workers; Tune takes no 0
RAY_RUNS = "ray"

Send = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all trials of a search have in common.

    Attributes:
        library: whose cases they learn from.
        recipe: what every trial trains, before its settings are applied.
        tuning: configuration of the search.
        folders: where they keep their state.
        splits: where the object store holds the cases.
    """

    library: Library
    recipe: Recipe
    tuning: TuningConfig
    folders: TrialFolders
    splits: ray.ObjectRef


def plan_trial(library: Library, recipe: Recipe, settings: Settings) -> Plan:
    """What a trial trains.

    Raises:
        FwdEcgError: the settings do not go together, or do not suit the library.
    """
    own = recipe.with_settings(settings)
    return plan_training(library, own.model, own.training)


def run_trial(config: dict[str, Any], bench: Bench) -> None:
    """Run a trial, as Ray Tune's worker does.

    A training that fails by itself (it diverges, or asks for more memory than there is) would do so
    again: its error is a result. Where a worker is lost, Tune starts the trial once more.

    Raises:
        ResultError: this node, or a worker's, which may have joined when others were at work, does
            not see the folder of the search.
    """
    _keep_quiet()
    require_folder_visible(Store.at(bench.folders.root))
    number = config[NUMBER]
    history = bench.folders.history(number)
    for record in history:
        tune.report(asdict(record))
    if bench.folders.outcome(number) is not None:
        return
    train = _train_here if bench.tuning.workers_per_trial == 1 else _train_on_workers
    try:
        plan = plan_trial(bench.library, bench.recipe, config[SETTINGS])
        train(number, plan, bench)
    except Exception as error:  # whatever it is, the search goes on
        if passes(error) or isinstance(error, ResultError):
            raise  # Tune starts the trial again
        tune.report({EPOCH: len(history), OBJECTIVE: math.nan, FAILURE: gist(error)})


def passes(error: Exception) -> bool:
    """Whether it may go well another time: a disk was full, a node was lost."""
    return isinstance(error, OSError | RayError) and not isinstance(error, PERMANENT_ERRORS)


def gist(error: BaseException) -> str:
    """The first line of an error, with its kind if that is none of ours."""
    first = next(iter(str(error).strip().splitlines()), "")
    return first if isinstance(error, RunError) else f"{type(error).__name__}: {first}"


def _train_here(number: int, plan: Plan, bench: Bench) -> None:
    tuning = bench.tuning
    meter = CostMeter(gpus=tuning.gpus_per_trial)
    torch.set_num_threads(_threads(tuning))
    device = _device(tuning.gpus_per_trial)
    _run(number, plan, bench, device=device, meter=meter, send=tune.report)


@dataclass(frozen=True, kw_only=True)
class _WorkerJob:
    """What Ray Train hands each worker of a trial."""

    number: int
    plan: Plan
    bench: Bench


def _train_on_workers(number: int, plan: Plan, bench: Bench) -> None:
    tuning, retries = bench.tuning, bench.recipe.training.retries
    trainer = ray.train.torch.TorchTrainer(
        _work,
        train_loop_config={"job": _WorkerJob(number=number, plan=plan, bench=bench)},
        scaling_config=ray.train.ScalingConfig(
            num_workers=tuning.workers_per_trial,
            use_gpu=tuning.gpus_per_trial > 0,
            resources_per_worker=worker_resources(tuning),
        ),
        run_config=ray.train.RunConfig(  # type: ignore[call-arg]  # typed as its predecessor
            # A name of its own each time: the trial resumes by itself, not Ray Train.
            name=tune.get_context().get_trial_id(),
            storage_path=str(bench.folders.folder(number) / RAY_RUNS),
            failure_config=ray.train.FailureConfig(max_failures=retries),
            logging_config=ray.train.LoggingConfig(log_level="WARNING"),
            worker_runtime_env={"env_vars": WORKER_ENVIRONMENT},
            callbacks=[TuneReportCallback()],  # type: ignore[list-item]
        ),
    )
    try:
        trainer.fit()
    except ray.train.TrainingFailedError as error:
        failures = [*getattr(error, "worker_failures", {}).values(), error]
        raise failures[0] from error


def worker_resources(tuning: TuningConfig) -> dict[str, float]:
    """What each worker of a trial reserves; the process that waits for them takes its part too."""
    cpus = (tuning.cpus_per_trial - DRIVER_CPUS) / tuning.workers_per_trial
    gpus = tuning.gpus_per_trial / tuning.workers_per_trial
    return {"CPU": cpus} | ({"GPU": gpus} if gpus else {})


def _threads(tuning: TuningConfig) -> int:
    """Threads of each process of a trial."""
    return max(int(tuning.cpus_per_trial / tuning.workers_per_trial), 1)


def _work(config: dict[str, Any]) -> None:
    """The loop that Ray Train runs in each worker process of a trial."""
    job: _WorkerJob = config["job"]
    require_folder_visible(Store.at(job.bench.folders.root))
    resources = worker_resources(job.bench.tuning)
    meter = CostMeter(gpus=resources.get("GPU", 0.0), since_start=True)
    _keep_quiet()
    torch.set_num_threads(_threads(job.bench.tuning))
    device = ray.train.torch.get_device()
    send = ray.train.report
    try:
        _run(job.number, job.plan, job.bench, device=device, meter=meter, send=send)
    except RunError as error:  # the same on all workers, as their sums are
        ray.train.report({EPOCH: 0, OBJECTIVE: math.nan, FAILURE: gist(error)})


def _run(
    number: int, plan: Plan, bench: Bench, *, device: torch.device, meter: CostMeter, send: Send
) -> None:
    folder = bench.folders.folder(number)
    splits = ray.get(bench.splits).splits()

    def keep_and_send(record: EpochRecord, checkpoint: Path | None) -> None:
        if checkpoint is not None:
            keep_checkpoint(checkpoint, folder, record.epoch)
            ITEMS.add(SWEEP, len(splits.train))
            ITEMS_PER_SECOND.set(SWEEP, len(splits.train) / record.seconds)
        send(asdict(record))

    run_training(
        plan,
        splits,
        device=device,
        report=keep_and_send,
        meter=meter,
        resume_from=newest_checkpoint(folder),
    )


def _device(gpus: float) -> torch.device:
    if gpus > 0 and not torch.cuda.is_available():
        logger.warning("a trial holds a GPU, but PyTorch finds none here: it trains on the CPU")
    return torch.device("cuda" if gpus > 0 and torch.cuda.is_available() else "cpu")


def _keep_quiet() -> None:
    """Only warnings: the epochs of several trials, mixed in one log, tell nobody anything."""
    log_to_stdout()
    logging.getLogger("fwdecg").setLevel(logging.WARNING)
    for name in ("ray", "ray.train"):
        logging.getLogger(name).setLevel(logging.WARNING)
