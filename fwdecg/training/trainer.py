"""Who runs a training: this process alone, or the workers of Ray Train, fed by Ray Data.

Both read the same splits of a library, run `run_training`, and leave the same files in a folder:
best.safetensors, last.safetensors, history.jsonl and, last, metrics.json.
"""

import logging
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.data
import ray.train
import ray.train.torch
import torch

from fwdecg.cases.splits import TRAIN, VALIDATION
from fwdecg.errors import ConfigError, FwdEcgError, ResultError, RunError, error_summary
from fwdecg.library.dataset import quiet_ray_data, split_dataset
from fwdecg.library.paths import MANIFEST
from fwdecg.library.reader import Library
from fwdecg.model import SurrogateConfig
from fwdecg.runtime.cost import Cost, CostMeter
from fwdecg.runtime.nodes import (
    cluster_may_grow,
    require_folder_visible,
    require_same_file,
    require_shared_folder,
)
from fwdecg.runtime.ownership import record_owner
from fwdecg.runtime.progress import log_to_stdout
from fwdecg.runtime.storage import METRICS_FILE, Store
from fwdecg.runtime.telemetry import (
    FAILURES,
    FRACTION_DONE,
    ITEMS,
    ITEMS_PER_SECOND,
    RETRIES,
    TRAINING,
)
from fwdecg.training.feed import COLUMNS, Shelf, case_ids, read_cases
from fwdecg.training.run import EpochRecord, Splits, run_training
from fwdecg.training.training_config import TrainingConfig
from fwdecg.training.training_folder import keep_checkpoint, newest_checkpoint, publish_result
from fwdecg.training.training_plan import Plan, plan_training
from fwdecg.training.workers import WORKER_ENVIRONMENT, wait_for_all

logger = logging.getLogger(__name__)

SPLITS = (TRAIN, VALIDATION)
FAILURE = "failure.txt"  # why a training on several workers cannot go on
LONGEST_COPY_S = 4 * 3600  # of the cases to a machine, for which the other machines wait
RAY_RUNS = "ray"  # folder of Ray Train's own files
CASES_READ_AT_ONCE = 16


def train(
    library: Library, model: SurrogateConfig, training: TrainingConfig, folder: Path
) -> dict[str, Any]:
    """Train a surrogate on a library; go on where an interrupted training stopped.

    Args:
        library: with training and validation cases.
        model: configuration of the surrogate.
        training: configuration of the training; with `workers` above 0 a Ray cluster is connected.
        folder: of the result, which every node of the cluster must see under this name.

    Returns:
        The content of metrics.json.

    Raises:
        ResultError: the folder holds another training, or some node of the cluster does not see it
            or the library.
        LibraryError: there are fewer training or validation cases than workers.
        ConfigError: the workers would leave no processor to read the data, or there is no GPU for
            a training in this process that asks for one.
        RunError: the training failed.
    """
    plan = plan_training(library, model, training)
    store = Store.at(folder)
    record_owner(store, plan.identity)
    if store.exists(METRICS_FILE):
        logger.info("%s is trained already", folder)
        return store.read_json(METRICS_FILE)
    run = _train_on_cluster if training.workers else _train_in_process
    checkpoint, cost = run(plan, library, folder)
    return publish_result(plan, checkpoint, folder, cost)


def _train_in_process(plan: Plan, library: Library, folder: Path) -> tuple[Path, Cost]:
    """The last checkpoint, and the cost since."""
    if (folder / RAY_RUNS).exists():
        raise ResultError(
            f"{folder} holds epochs of a training on Ray: go on with training.workers = 1 or more, "
            "or choose another training.path"
        )
    device = _own_device(plan.training)
    meter = CostMeter(gpus=float(device.type == "cuda"))
    splits = Splits(train=read_cases(library, TRAIN), validation=read_cases(library, VALIDATION))

    def keep(record: EpochRecord, checkpoint: Path | None) -> None:
        if checkpoint is not None:
            keep_checkpoint(checkpoint, folder, record.epoch)
            _tell(record, plan, len(splits.train))

    resume_from = newest_checkpoint(folder)
    run_training(plan, splits, device=device, report=keep, meter=meter, resume_from=resume_from)
    last = newest_checkpoint(folder)
    assert last is not None, "a training of at least one epoch leaves a checkpoint"
    return last, meter.lap()


def _tell(record: EpochRecord, plan: Plan, cases: int) -> None:
    """Export what an epoch came to."""
    ITEMS.add(TRAINING, cases)
    ITEMS_PER_SECOND.set(TRAINING, cases / record.seconds)
    FRACTION_DONE.set(TRAINING, record.epoch / plan.training.epochs)


def _own_device(training: TrainingConfig) -> torch.device:
    found = torch.cuda.is_available()
    if training.device == "gpu" and not found:
        raise ConfigError(
            "training.device = 'gpu': PyTorch finds no GPU here; set it to auto or cpu, or install "
            "the CUDA build of PyTorch"
        )
    return torch.device("cuda" if found and training.device != "cpu" else "cpu")


@dataclass(frozen=True, kw_only=True)
class _WorkerJob:
    """What Ray Train hands each worker.

    Attributes:
        plan: what to train.
        threads: of torch.
        case_ids: of each split.
        shelves: name of the folder for the cases on a worker's machine.
        folder: of the result.
    """

    plan: Plan
    threads: int
    case_ids: dict[str, np.ndarray]
    shelves: str
    folder: Path


def _train_on_cluster(plan: Plan, library: Library, folder: Path) -> tuple[Path, Cost]:
    """The last checkpoint, and the cost of this process."""
    meter = CostMeter()
    require_shared_folder(Store.at(folder))
    require_same_file(library.store, MANIFEST)
    quiet_ray_data()
    job = _WorkerJob(
        plan=plan,
        threads=_threads(plan.training),
        case_ids={split: case_ids(library, split) for split in SPLITS},
        shelves=f"fwdecg-cases-{sha256(bytes(folder)).hexdigest()[:32]}",
        folder=folder,
    )
    trainer = ray.train.torch.TorchTrainer(
        _work,
        train_loop_config={"job": job},
        # Beside workers that hold what processors a lost node has left, and wait for the cases.
        datasets={s: split_dataset(library, s, COLUMNS) for s in SPLITS},
        # One worker of each machine reads both splits whole, see `_splits`.
        dataset_config=ray.train.DataConfig(datasets_to_split=[]),
        scaling_config=_scaling(plan.training),
        torch_config=ray.train.torch.TorchConfig(timeout_s=LONGEST_COPY_S),
        run_config=ray.train.RunConfig(  # type: ignore[call-arg]  # typed as its predecessor
            name=plan.signature.training_hash,
            storage_path=str(folder / RAY_RUNS),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
            failure_config=ray.train.FailureConfig(max_failures=plan.training.retries),
            logging_config=ray.train.LoggingConfig(log_level="WARNING"),
            worker_runtime_env={"env_vars": WORKER_ENVIRONMENT},
            callbacks=[_Losses(plan.training.retries)],  # type: ignore[list-item]
        ),
    )
    with _own_interrupts():
        try:
            result = trainer.fit()
        except ray.train.TrainingFailedError as error:
            raise _reason(error) from error
    store = Store.at(folder)
    if store.exists(FAILURE):
        reason = store.read(FAILURE).to_pybytes().decode()
        store.remove(FAILURE)
        raise RunError(reason)
    if result.checkpoint is None:
        raise RunError(f"{folder}: the training ended without a checkpoint; see its log")
    return Path(result.checkpoint.path), meter.lap()


class _Losses(ray.train.UserCallback):
    """Counts, in Ray Train's own process, how often workers were lost or failed."""

    def __init__(self, retries: int) -> None:
        """None yet.

        Args:
            retries: how often the training starts again.
        """
        self._left = retries

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:  # noqa: ARG002
        """Take notice of one."""
        (RETRIES if self._left > 0 else FAILURES).add(TRAINING)
        self._left -= 1


@contextmanager
def _own_interrupts() -> Iterator[None]:
    """Ctrl-C stays an interrupt: Ray Train's `fit` would make it an exit with code 0, for good."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        raise KeyboardInterrupt from stop
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


def _reason(error: ray.train.TrainingFailedError) -> FwdEcgError:
    """A worker's own error if it is one of ours, else the gist of the first failure."""
    failures = [*getattr(error, "worker_failures", {}).values()]
    failures += [getattr(error, "controller_failure", None) or error]
    for failure in failures:
        if isinstance(failure, FwdEcgError):
            return failure
    return RunError(f"the training failed: {error_summary(failures[0])}")


def _scaling(training: TrainingConfig) -> ray.train.ScalingConfig:
    use_gpu = _with_gpus(training)
    resources = {"CPU": _reserved_cpus(training)} | ({"GPU": 1.0} if use_gpu else {})
    return ray.train.ScalingConfig(
        num_workers=training.workers, use_gpu=use_gpu, resources_per_worker=resources
    )


def _with_gpus(training: TrainingConfig) -> bool:
    """Whether each worker reserves a GPU."""
    if training.device != "auto":
        return training.device == "gpu"
    gpus = ray.cluster_resources().get("GPU", 0)
    if 0 < gpus < training.workers:
        logger.warning("%g GPUs for %d workers: training on CPUs", gpus, training.workers)
    return gpus >= training.workers


def _reserved_cpus(training: TrainingConfig) -> float:
    """Processors that each worker reserves in Ray; by default at most one.

    One processor is left to the readers of the data, who reserve none: after the loss of a node
    the workers may have reserved all there are.
    """
    total = ray.cluster_resources().get("CPU", 1.0)
    if training.cpus_per_worker:
        asked = training.cpus_per_worker * training.workers
        told = f"training.cpus_per_worker = {training.cpus_per_worker:g} times {training.workers}"
        if asked > total - 1 and not cluster_may_grow():
            raise ConfigError(
                f"{told} workers: must leave one of the cluster's {total:g} processors to read the "
                "data; lower one of the two"
            )
        if asked > total:
            logger.warning(
                "%s workers: waiting for more nodes, as the cluster has %g processors; if none "
                "come, stop it and lower one of the two",
                told,
                total,
            )
        return training.cpus_per_worker
    share = max(total - 1, total / 2) / training.workers
    return max(int(min(share, 1.0) * 100) / 100, 0.01)


def _threads(training: TrainingConfig) -> int:
    """Threads of each worker: what it reserves, or its part of a machine that it has to itself."""
    if training.cpus_per_worker:
        return max(int(training.cpus_per_worker), 1)
    if sum(node["Alive"] for node in ray.nodes()) > 1:
        return 1
    return max(int(ray.cluster_resources().get("CPU", 1)) // training.workers, 1)


def _work(config: dict[str, Any]) -> None:
    """The loop that Ray Train runs in each worker process."""
    job: _WorkerJob = config["job"]
    require_folder_visible(Store.at(job.folder))
    device = ray.train.torch.get_device()
    meter = CostMeter(gpus=float(device.type == "cuda"), since_start=True)
    log_to_stdout()
    quiet_ray_data()
    torch.set_num_threads(job.threads)
    splits = _splits(job, device)
    report = partial(_report, job.plan, len(splits.train))
    run = partial(run_training, job.plan, splits, device=device, report=report, meter=meter)
    checkpoint = ray.train.get_checkpoint()
    try:
        if checkpoint is None:  # perhaps epochs without Ray were there before
            run(resume_from=newest_checkpoint(job.folder))
            return
        with checkpoint.as_directory() as folder:
            run(resume_from=Path(folder))
    except RunError as error:  # all workers have it, and would have it again: no retry
        if ray.train.get_context().get_world_rank() == 0:
            Store.at(job.folder).publish(FAILURE, str(error))


def _report(plan: Plan, cases: int, record: EpochRecord, folder: Path | None) -> None:
    kept = None
    if folder is not None:
        kept = ray.train.Checkpoint.from_directory(str(folder))
        _tell(record, plan, cases)
    ray.train.report(asdict(record), checkpoint=kept)


def _splits(job: _WorkerJob, device: torch.device) -> Splits:
    """The cases, read by one worker of each machine and mapped by all of it."""
    # Of this machine alone, though it may have its temporary folder from a common file server.
    node = ray.get_runtime_context().get_node_id()
    folder = Path(tempfile.gettempdir()) / f"{job.shelves}-{node}"
    shelves = {split: Shelf(folder / split, job.case_ids[split]) for split in SPLITS}
    reads = ray.train.get_context().get_local_rank() == 0
    try:
        if reads:
            others = {each["NodeID"] for each in ray.nodes() if each["Alive"]} - {node}
            _clear_away(job.shelves, others)
            for split, shelf in shelves.items():
                shard = ray.train.get_dataset_shard(split)
                shelf.fill(shard.iter_batches(batch_size=CASES_READ_AT_ONCE, batch_format="numpy"))
        wait_for_all(device)
        splits = Splits(train=shelves[TRAIN].cases(), validation=shelves[VALIDATION].cases())
        wait_for_all(device)
    finally:
        if reads:
            # What is mapped stays until the process ends, and not longer, however it ends.
            shutil.rmtree(folder, ignore_errors=True)
    return splits


def _clear_away(shelves: str, nodes: set[str]) -> None:
    """Remove what attempts that were killed have left here, but for what belongs to these nodes."""
    for folder in Path(tempfile.gettempdir()).glob(f"{shelves}-*"):
        if folder.name.removeprefix(f"{shelves}-") not in nodes:
            shutil.rmtree(folder, ignore_errors=True)
