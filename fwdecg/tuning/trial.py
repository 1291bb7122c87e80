"""One trial of a search: a training that reports each of its epochs to Ray Tune.

Every trial keeps its checkpoints in its own folder. When a trial starts again, because its worker
failed or the whole search was killed, it first reports the epochs in its newest checkpoint and then
continues after them. Scheduler and searcher therefore need no state of their own: a restarted
search rebuilds it from these reports.
"""

import logging
import math
import warnings
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import ray
import ray.train
import torch
from ray import tune
from ray.exceptions import RayError

from fwdecg.errors import ResultError, RunError
from fwdecg.library.reader import Library
from fwdecg.runtime.cost import CostMeter
from fwdecg.runtime.nodes import require_folder_visible
from fwdecg.runtime.progress import log_to_stdout
from fwdecg.runtime.ray_private import tune_report_callback
from fwdecg.runtime.storage import PERMANENT_ERRORS, Store
from fwdecg.runtime.telemetry import SWEEP
from fwdecg.training.batches import Cases, Splits
from fwdecg.training.checkpoint import EpochRecord
from fwdecg.training.ray_workers import WorkerTask, first_failure, train_on_workers
from fwdecg.training.recipe import Recipe
from fwdecg.training.split_files import read_splits
from fwdecg.training.training_loop import export_progress, run_training
from fwdecg.training.training_spec import TrainingSpec
from fwdecg.tuning.search_space import Settings
from fwdecg.tuning.trials import TrialFolders
from fwdecg.tuning.tuning_config import TuningConfig

logger = logging.getLogger(__name__)

# Keys of a trial's Ray Tune configuration and of its reports.
NUMBER, SETTINGS = "number", "settings"
EPOCH, OBJECTIVE, FAILURE = "epoch", "best_r2", "failure"

# CPUs of the process that only waits for the workers of a trial. Ray Tune does not accept 0.
DRIVER_CPUS = 0.01


def share_splits(library: Library) -> ray.ObjectRef:
    """Put the cases of a library into Ray's object store, as NumPy arrays.

    All trials on a node map the same copy. Ray would copy tensors into every process.

    Returns:
        A reference to {split: {field of `Cases`: array}}.

    Raises:
        LibraryError: a split is empty, or a part cannot be read.
    """
    splits = vars(read_splits(library))
    return ray.put({split: _arrays(cases) for split, cases in splits.items()})


def _arrays(cases: Cases) -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in vars(cases).items()}


def _get_splits(reference: ray.ObjectRef) -> Splits:
    """Return the shared cases as tensors, which must not be changed in place."""
    with warnings.catch_warnings():
        # Arrays in the object store are read-only. A training does not write to its cases.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return Splits(
            **{
                split: Cases(**{name: torch.from_numpy(array) for name, array in arrays.items()})
                for split, arrays in ray.get(reference).items()
            }
        )


@dataclass(frozen=True, kw_only=True)
class SearchContext:
    """The parts of a search that every trial needs.

    Attributes:
        library: library that the trials train on.
        recipe: recipe of every trial, before its settings are applied.
        tuning: configuration of the search.
        folders: folders of the trials.
        splits: return value of `share_splits`.
    """

    library: Library
    recipe: Recipe
    tuning: TuningConfig
    folders: TrialFolders
    splits: ray.ObjectRef


def trial_spec(library: Library, recipe: Recipe, settings: Settings) -> TrainingSpec:
    """Return the specification of a trial's training.

    Raises:
        FwdEcgError: the settings contradict each other or do not suit the library.
    """
    own = recipe.with_settings(settings)
    return TrainingSpec.from_library(library, own.model, own.training)


def run_trial(config: dict[str, Any], context: SearchContext) -> None:
    """Run a trial in a worker process of Ray Tune.

    An error of the training itself, such as divergence or too little memory, would recur in a
    retry. It is reported as the result of the trial. Retryable errors are raised, and Ray Tune
    starts the trial again.

    Raises:
        ResultError: this node or the node of a worker does not see the folder of the search, for
            example because it joined after the check at the start.
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
        spec = trial_spec(context.library, context.recipe, config[SETTINGS])
        train(number, spec, context)
    except Exception as error:  # no error of a trial may end the search
        if may_succeed_on_retry(error) or isinstance(error, ResultError):
            raise  # Ray Tune starts the trial again
        tune.report({EPOCH: len(history), OBJECTIVE: math.nan, FAILURE: failure_text(error)})


def may_succeed_on_retry(error: Exception) -> bool:
    """Return whether a retry may succeed, for example after a full disk or a failed node."""
    return isinstance(error, OSError | RayError) and not isinstance(error, PERMANENT_ERRORS)


def failure_text(error: BaseException) -> str:
    """Return the first line of an error, with its class name in front unless it is a `RunError`."""
    first = next(iter(str(error).strip().splitlines()), "")
    return first if isinstance(error, RunError) else f"{type(error).__name__}: {first}"


def _train_here(number: int, spec: TrainingSpec, context: SearchContext) -> None:
    tuning = context.tuning
    meter = CostMeter(gpus=tuning.gpus_per_trial)
    torch.set_num_threads(_threads(tuning))
    splits = _get_splits(context.splits)

    def report(record: EpochRecord) -> None:
        export_progress(record, spec, cases=len(splits.train), stage=SWEEP)
        tune.report(asdict(record))

    run_training(
        spec,
        splits,
        context.folders.folder(number),
        device=_device(tuning.gpus_per_trial),
        meter=meter,
        report=report,
    )


def _train_on_workers(number: int, spec: TrainingSpec, context: SearchContext) -> None:
    tuning = context.tuning
    try:
        train_on_workers(
            WorkerTask(
                spec=spec,
                folder=context.folders.folder(number),
                visible=context.folders.root,
                load_splits=partial(_get_splits, context.splits),
                threads=_threads(tuning),
                stage=SWEEP,
                log_level=logging.WARNING,
            ),
            scaling=ray.train.ScalingConfig(
                num_workers=tuning.workers_per_trial,
                use_gpu=tuning.gpus_per_trial > 0,
                resources_per_worker=worker_resources(tuning),
            ),
            retries=context.recipe.training.retries,
            callbacks=[tune_report_callback()],
        )
    except ray.train.TrainingFailedError as error:
        raise first_failure(error) from error


def worker_resources(tuning: TuningConfig) -> dict[str, float]:
    """Return the Ray resources of each worker of a trial.

    If there are several, they leave `DRIVER_CPUS` of the trial to the process that waits for them.
    """
    workers = tuning.workers_per_trial
    cpus = tuning.cpus_per_trial - (DRIVER_CPUS if workers > 1 else 0.0)
    gpus = {"GPU": tuning.gpus_per_trial / workers} if tuning.gpus_per_trial else {}
    return {"CPU": cpus / workers} | gpus


def _threads(tuning: TuningConfig) -> int:
    """Return the number of threads of each worker of a trial."""
    return max(int(tuning.cpus_per_trial / tuning.workers_per_trial), 1)


def _device(gpus: float) -> torch.device:
    if gpus > 0 and not torch.cuda.is_available():
        logger.warning("the trial reserves a GPU, but PyTorch finds none: training on the CPU")
    return torch.device("cuda" if gpus > 0 and torch.cuda.is_available() else "cpu")


def _log_warnings_only() -> None:
    """Log only warnings, because the epochs of several trials would mix in one log."""
    log_to_stdout()
    for name in ("fwdecg", "ray", "ray.train"):
        logging.getLogger(name).setLevel(logging.WARNING)
