"""Run a training on the workers of Ray Train.

Ray Train starts the workers, connects them by torch.distributed and starts them again after a
failure. The training writes its checkpoints itself, in its result folder (see `checkpoint`), so it
can continue on another number of workers or in one process.
"""

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray.data
import ray.train
import ray.train.torch
import torch

from fwdecg.errors import FwdEcgError, RunError
from fwdecg.library.dataset import quiet_ray_data
from fwdecg.runtime.cost import CostMeter
from fwdecg.runtime.nodes import require_folder_visible
from fwdecg.runtime.progress import log_to_stdout
from fwdecg.runtime.storage import STAGING, Store
from fwdecg.runtime.telemetry import TRAINING
from fwdecg.training.batches import Splits
from fwdecg.training.checkpoint import EpochRecord
from fwdecg.training.training_loop import export_progress, run_training
from fwdecg.training.training_spec import TrainingSpec
from fwdecg.training.workers import WORKER_ENVIRONMENT

# Ray Train needs a folder for its own files. Nothing in it is read again.
RAY_FILES = f"{STAGING}/ray-train"
# Timeout of collective operations. It must exceed the time in which one worker of each machine
# copies the cases to the local disk, because all other workers wait for it in a barrier.
LONGEST_COPY_S = 4 * 3600


@dataclass(frozen=True, kw_only=True)
class WorkerTask:
    """What each worker of a training does.

    Attributes:
        spec: specification of the training.
        folder: result folder of the training.
        visible: folder that every worker must see: `folder` or a folder that contains it.
        load_splits: function that returns the cases; every worker calls it.
        threads: number of torch's threads on each worker.
        stage: telemetry stage of the exported metrics.
        log_level: level of the package's log on the workers.
    """

    spec: TrainingSpec
    folder: Path
    visible: Path
    load_splits: Callable[[], Splits]
    threads: int
    stage: str = TRAINING
    log_level: int = logging.INFO


def train_on_workers(
    task: WorkerTask,
    *,
    scaling: ray.train.ScalingConfig,
    retries: int,
    callbacks: list[Any],
    datasets: Mapping[str, ray.data.Dataset] | None = None,
) -> None:
    """Run a training on Ray Train's workers until its last checkpoint is written.

    Args:
        task: what each worker does.
        scaling: number of workers and their resources.
        retries: number of times that all workers are restarted after a failure.
        callbacks: callbacks of Ray Train.
        datasets: datasets for `task.load_splits`; they are not divided among the workers.

    Raises:
        RunError: the training diverged. It is not retried, because it would diverge again.
        ray.train.TrainingFailedError: the workers failed too often; see `first_failure`.
    """
    resources: Any = scaling.resources_per_worker or {}
    trainer = ray.train.torch.TorchTrainer(
        _worker_loop,  # type: ignore[arg-type]  # Ray does not annotate its result
        train_loop_config={"task": task, "gpus": resources.get("GPU", 0.0)},
        scaling_config=scaling,
        datasets=dict(datasets or {}),
        dataset_config=ray.train.DataConfig(datasets_to_split=[]),
        torch_config=ray.train.torch.TorchConfig(timeout_s=LONGEST_COPY_S),
        run_config=ray.train.RunConfig(  # type: ignore[call-arg]  # typed as its predecessor
            # Without `name`, Ray Train names every run anew and never resumes one by itself.
            storage_path=str(task.folder / RAY_FILES),
            failure_config=ray.train.FailureConfig(max_failures=retries),
            logging_config=ray.train.LoggingConfig(log_level="WARNING"),
            worker_runtime_env={"env_vars": WORKER_ENVIRONMENT},
            callbacks=callbacks,
        ),
    )
    with _sigint_raises_interrupt():
        # Ray types the result as that of its predecessor.
        divergence = trainer.fit().return_value  # type: ignore[attr-defined]
    if divergence is not None:
        raise RunError(divergence)


def first_failure(error: ray.train.TrainingFailedError) -> Exception:
    """Return the exception that ended a training: a worker's `FwdEcgError` if there is one."""
    failures: list[Exception] = [*getattr(error, "worker_failures", {}).values()]
    failures.append(getattr(error, "controller_failure", None) or error)
    return next((each for each in failures if isinstance(each, FwdEcgError)), failures[0])


def _worker_loop(config: dict[str, Any]) -> str | None:
    """Run the training on a worker.

    Returns:
        The reason why the training diverged, or None. It is not raised, because Ray Train would
        retry: all workers compute the same losses and would diverge again.
    """
    task: WorkerTask = config["task"]
    require_folder_visible(Store.at(task.visible))
    meter = CostMeter(gpus=config["gpus"], since_start=True)
    log_to_stdout()
    quiet_ray_data()
    logging.getLogger("fwdecg").setLevel(task.log_level)
    torch.set_num_threads(task.threads)
    device = ray.train.torch.get_device()
    splits = task.load_splits()
    report = partial(_report, task, len(splits.train))
    try:
        run_training(task.spec, splits, task.folder, device=device, meter=meter, report=report)
    except RunError as error:
        return str(error)
    return None


def _report(task: WorkerTask, cases: int, record: EpochRecord) -> None:
    export_progress(record, task.spec, cases=cases, stage=task.stage)
    ray.train.report(asdict(record))


@contextmanager
def _sigint_raises_interrupt() -> Iterator[None]:
    """Make Ctrl-C raise KeyboardInterrupt; Ray Train's `fit` would exit with code 0 instead."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        raise KeyboardInterrupt from stop
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
