"""Train a surrogate on a library, in this process or on the workers of a Ray cluster.

Both ways write the same checkpoints and leave the same files in the result folder:
best.safetensors, last.safetensors, history.jsonl and finally metrics.json, which marks the training
as finished.
"""

import json
import logging
import shutil
import tempfile
from dataclasses import asdict
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
from fwdecg.errors import ConfigError, FwdEcgError, RunError, error_summary
from fwdecg.library.dataset import quiet_ray_data, split_dataset
from fwdecg.library.paths import MANIFEST
from fwdecg.library.reader import Library
from fwdecg.model import SurrogateConfig
from fwdecg.runtime.cost import Cost, CostMeter
from fwdecg.runtime.nodes import cluster_may_grow, require_same_file, require_shared_folder
from fwdecg.runtime.ownership import exclusive_use, record_owner
from fwdecg.runtime.storage import METRICS_FILE, Store
from fwdecg.runtime.telemetry import FAILURES, RETRIES, TRAINING
from fwdecg.training.batches import Splits
from fwdecg.training.checkpoint import BEST, HISTORY, LAST, checkpoint_path, load_history
from fwdecg.training.ray_workers import WorkerTask, first_failure, train_on_workers
from fwdecg.training.split_files import COLUMNS, SplitFiles, read_splits, split_case_ids
from fwdecg.training.training_config import TrainingConfig
from fwdecg.training.training_loop import export_progress, run_training
from fwdecg.training.training_spec import TrainingSpec
from fwdecg.training.workers import barrier

logger = logging.getLogger(__name__)

SPLITS = (TRAIN, VALIDATION)
CASES_READ_AT_ONCE = 16


def train(
    library: Library, model: SurrogateConfig, training: TrainingConfig, folder: Path
) -> dict[str, Any]:
    """Train a surrogate on a library, or resume an interrupted training.

    Args:
        library: library with training and validation cases.
        model: configuration of the surrogate.
        training: configuration of the training; `workers` above 0 needs a connected Ray cluster.
        folder: result folder, which every node of the cluster must see under the same path.

    Returns:
        The content of metrics.json.

    Raises:
        ResultError: the folder holds another training, another process trains in it, or a node of
            the cluster does not see the folder or the library.
        LibraryError: there are fewer training or validation cases than workers.
        ConfigError: the workers would leave no CPU to read the data, a training in this process
            requires a GPU and there is none, or mirrored or turned cases would have another ECG.
        RunError: the training failed.
    """
    spec = TrainingSpec.from_library(library, model, training)
    store = Store.at(folder)
    record_owner(store, spec.identity)
    if not store.exists(METRICS_FILE):
        run = _train_on_cluster if training.workers else _train_in_process
        with exclusive_use(store, "training"):
            if not store.exists(METRICS_FILE):  # another process may have finished in the meantime
                return _publish_result(spec, folder, run(spec, library, folder))
    logger.info("%s is trained already", folder)
    return store.read_json(METRICS_FILE)


def _train_in_process(spec: TrainingSpec, library: Library, folder: Path) -> Cost:
    """Train in this process; return the cost that is not in the epoch records."""
    device = _device(spec.training)
    meter = CostMeter(gpus=float(device.type == "cuda"))
    splits = read_splits(library)
    report = partial(export_progress, spec=spec, cases=len(splits.train), stage=TRAINING)
    run_training(spec, splits, folder, device=device, meter=meter, report=report)
    return meter.lap()


def _device(training: TrainingConfig) -> torch.device:
    found = torch.cuda.is_available()
    if training.device == "gpu" and not found:
        raise ConfigError(
            "training.device = 'gpu': PyTorch finds no GPU here; set it to auto or cpu, or install "
            "the CUDA build of PyTorch"
        )
    return torch.device("cuda" if found and training.device != "cpu" else "cpu")


def _train_on_cluster(spec: TrainingSpec, library: Library, folder: Path) -> Cost:
    """Train on the workers of the connected cluster; return the cost of this process."""
    meter, training = CostMeter(), spec.training
    require_shared_folder(Store.at(folder))
    require_same_file(library.store, MANIFEST)
    quiet_ray_data()
    prefix = f"fwdecg-cases-{sha256(bytes(folder)).hexdigest()[:32]}"
    case_ids = {split: split_case_ids(library, split) for split in SPLITS}
    try:
        train_on_workers(
            WorkerTask(
                spec=spec,
                folder=folder,
                visible=folder,
                load_splits=partial(_load_local_copies, prefix, case_ids),
                threads=_threads(training),
            ),
            scaling=_scaling(training),
            retries=training.retries,
            callbacks=[_FailureCounter(training.retries)],
            datasets={s: split_dataset(library, s, COLUMNS) for s in SPLITS},
        )
    except ray.train.TrainingFailedError as error:
        cause = first_failure(error)
        if isinstance(cause, FwdEcgError):
            raise cause from error
        raise RunError(f"the training failed: {error_summary(cause)}") from error
    return meter.lap()


class _FailureCounter(ray.train.UserCallback):
    """Counts failures of workers, in Ray Train's controller process."""

    def __init__(self, retries: int) -> None:
        self._left = retries

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:  # noqa: ARG002
        """Count a retry, or a failure of the training if no retry is left."""
        (RETRIES if self._left > 0 else FAILURES).add(TRAINING)
        self._left -= 1


def _scaling(training: TrainingConfig) -> ray.train.ScalingConfig:
    use_gpu = _use_gpus(training)
    resources = {"CPU": _cpus_per_worker(training)} | ({"GPU": 1.0} if use_gpu else {})
    return ray.train.ScalingConfig(
        num_workers=training.workers, use_gpu=use_gpu, resources_per_worker=resources
    )


def _use_gpus(training: TrainingConfig) -> bool:
    """Return whether each worker reserves a GPU."""
    if training.device != "auto":
        return training.device == "gpu"
    gpus = ray.cluster_resources().get("GPU", 0)
    if 0 < gpus < training.workers:
        logger.warning("%g GPUs for %d workers: training on CPUs", gpus, training.workers)
    return gpus >= training.workers


def _cpus_per_worker(training: TrainingConfig) -> float:
    """Return the number of CPUs that each worker reserves in Ray, by default at most one.

    One CPU stays free for the tasks that read the data, which reserve none themselves.
    """
    total = ray.cluster_resources().get("CPU", 1.0)
    if training.cpus_per_worker:
        wanted = training.cpus_per_worker * training.workers
        setting = (
            f"training.cpus_per_worker = {training.cpus_per_worker:g} times {training.workers} "
            "workers"
        )
        if wanted > total - 1 and not cluster_may_grow():
            raise ConfigError(
                f"{setting}: must leave one of the cluster's {total:g} CPUs to read the data; "
                "lower one of the two"
            )
        if wanted > total:
            logger.warning(
                "%s: the cluster has %g CPUs; waiting for more nodes. If none join, stop the job "
                "and lower one of the two",
                setting,
                total,
            )
        return training.cpus_per_worker
    fraction = max(total - 1, total / 2) / training.workers
    return max(int(min(fraction, 1.0) * 100) / 100, 0.01)


def _threads(training: TrainingConfig) -> int:
    """Return the number of threads of each worker.

    With `training.cpus_per_worker`, a worker uses one thread per reserved CPU. By default it uses
    one thread on a cluster of several nodes, and an equal part of the CPUs on a single machine.
    """
    if training.cpus_per_worker:
        return max(int(training.cpus_per_worker), 1)
    if sum(node["Alive"] for node in ray.nodes()) > 1:
        return 1
    return max(int(ray.cluster_resources().get("CPU", 1)) // training.workers, 1)


def _load_local_copies(prefix: str, case_ids: dict[str, np.ndarray]) -> Splits:
    """Return the cases, mapped from a copy on the local disk.

    One worker of each machine copies the cases, and all workers of the machine map the files.

    Args:
        prefix: beginning of the name of each machine's temporary folder.
        case_ids: ids of the cases of each split.
    """
    device = ray.train.torch.get_device()
    # Nodes may share a temporary folder, so the name contains the node's id.
    node = ray.get_runtime_context().get_node_id()
    folder = Path(tempfile.gettempdir()) / f"{prefix}-{node}"
    files = {split: SplitFiles(folder / split, case_ids[split]) for split in SPLITS}
    copies = ray.train.get_context().get_local_rank() == 0
    try:
        if copies:
            others = {each["NodeID"] for each in ray.nodes() if each["Alive"]} - {node}
            _remove_leftovers(prefix, others)
            for split in SPLITS:
                shard = ray.train.get_dataset_shard(split)
                files[split].write(
                    shard.iter_batches(batch_size=CASES_READ_AT_ONCE, batch_format="numpy")
                )
        barrier(device)
        splits = Splits(train=files[TRAIN].open(), validation=files[VALIDATION].open())
        barrier(device)
    finally:
        if copies:
            # The kernel keeps mapped files until the processes that map them end.
            shutil.rmtree(folder, ignore_errors=True)
    return splits


def _remove_leftovers(prefix: str, others: set[str]) -> None:
    """Remove copies that killed workers left here.

    Args:
        prefix: beginning of the name of each machine's temporary folder.
        others: ids of the other nodes that are alive, whose copies are kept.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}-*"):
        if folder.name.removeprefix(f"{prefix}-") not in others:
            shutil.rmtree(folder, ignore_errors=True)


def _publish_result(spec: TrainingSpec, folder: Path, cost: Cost) -> dict[str, Any]:
    """Publish the surrogates, the history and finally the metrics of a finished training.

    Args:
        spec: specification of the training.
        folder: result folder with the last checkpoint.
        cost: cost that is not in the epoch records.

    Returns:
        The content of metrics.json.
    """
    store = Store.at(folder)
    checkpoint = checkpoint_path(folder, spec.training.epochs)
    for name in (BEST, LAST):
        store.publish_with(name, partial(shutil.copyfile, checkpoint / name))
    history = load_history(checkpoint)
    store.publish(HISTORY, "".join(json.dumps(asdict(record)) + "\n" for record in history))
    best = max(history, key=lambda record: record.validation_r2)
    metrics = {
        "training_hash": spec.signature.training_hash,
        "library_hash": spec.signature.library_hash,
        "epochs": len(history),
        "best_epoch": best.epoch,
        "best_validation_r2": best.validation_r2,
        "best_validation_mae": best.validation_mae,
        "last_train_loss": history[-1].train_loss,
        "seconds": round(sum(record.seconds for record in history), 1),
        "seconds_per_epoch": round(float(np.median([record.seconds for record in history])), 3),
        "cost": sum((record.cost for record in history), cost).as_dict(),
    }
    store.publish_json(METRICS_FILE, metrics)
    store.clear_staging()
    return metrics
