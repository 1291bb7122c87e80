"""One trial of a search: a training that reports each of its epochs to Ray Tune.

Every trial keeps its checkpoints in its own folder. When a trial starts again, because its worker
failed or the whole search was killed, it first reports the epochs in its newest checkpoint and then
continues after them. Scheduler and searcher therefore need no state of their own: a restarted
search rebuilds it from these reports.
"""

import logging
import math
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.train
import ray.train.torch
import torch
from ray import tune
from ray.exceptions import RayError
from ray.tune.integration.ray_train import TuneReportCallback

from fwdecg.cases.splits import TRAIN, VALIDATION
from fwdecg.errors import ResultError, RunError
from fwdecg.library.reader import Library
from fwdecg.runtime.cost import CostMeter
from fwdecg.runtime.nodes import require_folder_visible
from fwdecg.runtime.progress import log_to_stdout
from fwdecg.runtime.storage import PERMANENT_ERRORS, Store
from fwdecg.runtime.telemetry import ITEMS, ITEMS_PER_SECOND, SWEEP
from fwdecg.training.batches import Cases
from fwdecg.training.feed import read_cases
from fwdecg.training.recipe import Recipe
from fwdecg.training.run import EpochRecord, Splits, run_training
from fwdecg.training.training_folder import keep_checkpoint, newest_checkpoint
from fwdecg.training.training_plan import Plan, plan_training
from fwdecg.training.workers import WORKER_ENVIRONMENT
from fwdecg.tuning.search_space import Settings
from fwdecg.tuning.trials import TrialFolders
from fwdecg.tuning.tuning_config import TuningConfig

logger = logging.getLogger(__name__)

# Keys of a trial's Ray Tune configuration and of its reports.
NUMBER, SETTINGS = "number", "settings"
EPOCH, OBJECTIVE, FAILURE = "epoch", "best_r2", "failure"

# CPUs of the process that only waits for the workers of a trial. Ray Tune does not accept 0.
DRIVER_CPUS = 0.01
RAY_RUNS = "ray"  # subfolder of a trial for Ray Train's own files

Arrays = dict[str, np.ndarray]
Send = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class SharedSplits:
    """Training and validation cases as NumPy arrays in Ray's object store.

    All trials on a node map the same copy. Ray would copy tensors into every process.
    """

    train: Arrays
    validation: Arrays

    def splits(self) -> Splits:
        """Return the cases as tensors that must not be changed in place."""
        return Splits(train=_cases(self.train), validation=_cases(self.validation))


def share_splits(library: Library) -> ray.ObjectRef:
    """Put the `SharedSplits` of a library into Ray's object store and return the reference.

    Raises:
        LibraryError: a split is empty, or a part cannot be read.
    """
    train, validation = (_arrays(read_cases(library, split)) for split in (TRAIN, VALIDATION))
    return ray.put(SharedSplits(train, validation))


def _arrays(cases: Cases) -> Arrays:
    tensors = {field.name: getattr(cases, field.name) for field in fields(cases)}
    return {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in tensors.items()}


def _cases(arrays: Arrays) -> Cases:
    with warnings.catch_warnings():
        # Arrays in the object store are read-only. A training does not write to its cases.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return Cases(**{name: torch.from_numpy(array) for name, array in arrays.items()})


@dataclass(frozen=True, kw_only=True)
class SearchContext:
    """What all trials of a search share.

    Attributes:
        library: library that the trials train on.
        recipe: what every trial trains, before its settings are applied.
        tuning: configuration of the search.
        folders: folders of the trials.
        splits: reference to the `SharedSplits` in Ray's object store.
    """

    library: Library
    recipe: Recipe
    tuning: TuningConfig
    folders: TrialFolders
    splits: ray.ObjectRef


def plan_trial(library: Library, recipe: Recipe, settings: Settings) -> Plan:
    """Return the training plan of a trial.

    Raises:
        FwdEcgError: the settings contradict each other or do not suit the library.
    """
    own = recipe.with_settings(settings)
    return plan_training(library, own.model, own.training)


def run_trial(config: dict[str, Any], context: SearchContext) -> None:
    """Run a trial in a worker process of Ray Tune.

    An error of the training itself, such as divergence or too little memory, would come again:
    report it as the trial's result. Raise transient errors, so that Ray Tune starts the trial
    again.

    Raises:
        ResultError: this node or the node of a worker does not see the folder of the search. Nodes
            that join late were not checked at the start.
    """
    _log_warnings_only()
    require_folder_visible(Store.at(context.folders.root))
    number = config[NUMBER]
    history = context.folders.history(number)
    for record in history:
        tune.report(asdict(record))
    if context.folders.outcome(number) is not None:
        return
    train = _train_here if context.tuning.workers_per_trial == 1 else _train_on_workers
    try:
        plan = plan_trial(context.library, context.recipe, config[SETTINGS])
        train(number, plan, context)
    except Exception as error:  # no error of a trial may end the search
        if is_transient(error) or isinstance(error, ResultError):
            raise  # Ray Tune starts the trial again
        tune.report({EPOCH: len(history), OBJECTIVE: math.nan, FAILURE: error_summary(error)})


def is_transient(error: Exception) -> bool:
    """Return True if a retry may succeed, as after a full disk or a failed node."""
    return isinstance(error, OSError | RayError) and not isinstance(error, PERMANENT_ERRORS)


def error_summary(error: BaseException) -> str:
    """Return the first line of an error, after its class name unless it is a `RunError`."""
    first = next(iter(str(error).strip().splitlines()), "")
    return first if isinstance(error, RunError) else f"{type(error).__name__}: {first}"


def _train_here(number: int, plan: Plan, context: SearchContext) -> None:
    tuning = context.tuning
    meter = CostMeter(gpus=tuning.gpus_per_trial)
    torch.set_num_threads(_threads(tuning))
    device = _device(tuning.gpus_per_trial)
    _run(number, plan, context, device=device, meter=meter, send=tune.report)


@dataclass(frozen=True, kw_only=True)
class _WorkerJob:
    """What Ray Train passes to each worker of a trial."""

    number: int
    plan: Plan
    context: SearchContext


def _train_on_workers(number: int, plan: Plan, context: SearchContext) -> None:
    tuning, retries = context.tuning, context.recipe.training.retries
    trainer = ray.train.torch.TorchTrainer(
        _work,
        train_loop_config={"job": _WorkerJob(number=number, plan=plan, context=context)},
        scaling_config=ray.train.ScalingConfig(
            num_workers=tuning.workers_per_trial,
            use_gpu=tuning.gpus_per_trial > 0,
            resources_per_worker=worker_resources(tuning),
        ),
        run_config=ray.train.RunConfig(  # type: ignore[call-arg]  # typed as its predecessor
            # A new name for each start, because the trial resumes from its own folder.
            name=tune.get_context().get_trial_id(),
            storage_path=str(context.folders.folder(number) / RAY_RUNS),
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
    """Return the Ray resources of each worker of a trial, less those of the waiting process."""
    cpus = (tuning.cpus_per_trial - DRIVER_CPUS) / tuning.workers_per_trial
    gpus = tuning.gpus_per_trial / tuning.workers_per_trial
    return {"CPU": cpus} | ({"GPU": gpus} if gpus else {})


def _threads(tuning: TuningConfig) -> int:
    """Return the number of threads of each worker of a trial."""
    return max(int(tuning.cpus_per_trial / tuning.workers_per_trial), 1)


def _work(config: dict[str, Any]) -> None:
    """Train in one of the worker processes that Ray Train starts for a trial."""
    job: _WorkerJob = config["job"]
    tuning = job.context.tuning
    require_folder_visible(Store.at(job.context.folders.root))
    meter = CostMeter(gpus=worker_resources(tuning).get("GPU", 0.0), since_start=True)
    _log_warnings_only()
    torch.set_num_threads(_threads(tuning))
    device = ray.train.torch.get_device()
    send = ray.train.report
    try:
        _run(job.number, job.plan, job.context, device=device, meter=meter, send=send)
    except RunError as error:  # every worker raises it, because they all hold the same sums
        ray.train.report({EPOCH: 0, OBJECTIVE: math.nan, FAILURE: error_summary(error)})


def _run(
    number: int,
    plan: Plan,
    context: SearchContext,
    *,
    device: torch.device,
    meter: CostMeter,
    send: Send,
) -> None:
    folder = context.folders.folder(number)
    splits = ray.get(context.splits).splits()

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
        logger.warning("the trial reserves a GPU, but PyTorch finds none: training on the CPU")
    return torch.device("cuda" if gpus > 0 and torch.cuda.is_available() else "cpu")


def _log_warnings_only() -> None:
    """Log only warnings: a log that mixes the epochs of several trials helps nobody."""
    log_to_stdout()
    logging.getLogger("fwdecg").setLevel(logging.WARNING)
    for name in ("ray", "ray.train"):
        logging.getLogger(name).setLevel(logging.WARNING)
