"""Who runs a training: this process alone, or the workers of Ray Train, fed by Ray Data.

Both read the same splits of a library, run `run_training`, and leave the same files in a folder:
best.pt, last.pt, history.jsonl and, last, metrics.json.
"""

import json
import logging
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.data
import ray.train
import ray.train.torch
import torch
from ray.train.v2.api.exceptions import TrainingFailedError

from fwdecg.config import identity_hash, identity_tree
from fwdecg.errors import FwdEcgError, LibraryError
from fwdecg.library.reader import Library
from fwdecg.library.schema import CASE_ID, PHI_E, U, tensor_column
from fwdecg.library.splits import TRAIN, VALIDATION
from fwdecg.model import SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.storage import claim, clear_staging, publish, publish_json, read_json
from fwdecg.training.batches import Cases
from fwdecg.training.checkpoint import Signature, load_tensors
from fwdecg.training.config import TrainingConfig
from fwdecg.training.run import BEST, LAST, PROGRESS, EpochRecord, Plan, Splits, run_training

logger = logging.getLogger(__name__)

HISTORY, METRICS = "history.jsonl", "metrics.json"
CHECKPOINT = "checkpoint"  # folder of the in-process trainer's last checkpoint
RAY_RUNS = "ray"  # folder of Ray Train's own files

COLUMNS = (CASE_ID, U, PHI_E)
ROWS_PER_BLOCK_READ = 16
LARGEST_RESERVED_SHARE = 1.0


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
        ResultError: the folder holds another training.
        FwdEcgError: the training failed.
    """
    plan = plan_training(library, model, training)
    claim(folder, _identity(plan), "model, training or library")
    if (folder / METRICS).exists():
        logger.info("%s is trained already", folder)
        return read_json(folder, METRICS)
    if training.workers == 0:
        checkpoint = _train_in_process(plan, library, folder)
    else:
        checkpoint = _train_on_cluster(plan, library, folder)
    return _publish_result(plan, checkpoint, folder)


def plan_training(library: Library, model: SurrogateConfig, training: TrainingConfig) -> Plan:
    """What a library and two configurations amount to.

    Raises:
        LibraryError: there are fewer training or validation cases than workers.
    """
    workers = max(training.workers, 1)
    for split in (TRAIN, VALIDATION):
        if library.count(split) < workers:
            raise LibraryError(
                f"{library.root} has {library.count(split)} {split} cases for {workers} workers; "
                "lower training.workers or raise library.cases and build it again"
            )
    statistics, recording = library.statistics, library.config.recording
    signature = Signature(
        frames=recording.frames,
        map_pixels=recording.map_pixels,
        electrodes_mm=recording.electrodes_mm,
        frame_interval_ms=recording.frame_interval_ms,
        library_hash=library.config_hash,
        training_hash=identity_hash(model, training, library.config_hash),
    )
    standardisation = Standardisation(
        u_mean=statistics.u_mean,
        u_spread=statistics.u_spread,
        phi_e_mean=statistics.phi_e_mean,
        phi_e_spread=statistics.phi_e_spread,
    )
    return Plan(
        model=model, training=training, standardisation=standardisation, signature=signature
    )


def read_cases(library: Library, split: str) -> Cases:
    """The cases of a split in memory, without Ray."""
    table = library.table(split, COLUMNS)
    columns = {name: tensor_column(table, name) for name in (U, PHI_E)}
    return _cases(table[CASE_ID].to_numpy(), columns[U], columns[PHI_E])


def _train_in_process(plan: Plan, library: Library, folder: Path) -> Path:
    splits = Splits(train=read_cases(library, TRAIN), validation=read_cases(library, VALIDATION))
    kept = folder / CHECKPOINT

    def keep(_record: EpochRecord, checkpoint: Path | None) -> None:
        if checkpoint is not None:
            _replace_folder(checkpoint, kept)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    resume_from = kept if kept.exists() else None
    run_training(plan, splits, device=device, report=keep, resume_from=resume_from)
    return kept


def _replace_folder(source: Path, target: Path) -> None:
    """Put a copy of `source` where `target` is; an interruption leaves one of the two whole."""
    aside, old = target.with_suffix(".new"), target.with_suffix(".old")
    for leftover in (aside, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(source, aside)
    if target.exists():
        target.rename(old)
    aside.rename(target)
    shutil.rmtree(old, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class _WorkerJob:
    """What Ray Train hands each worker."""

    plan: Plan
    threads: int


def _train_on_cluster(plan: Plan, library: Library, folder: Path) -> Path:
    use_gpu = ray.cluster_resources().get("GPU", 0) >= plan.training.workers
    share = _reserved_share(plan.training)
    job = _WorkerJob(plan=plan, threads=_threads(plan.training, share))
    trainer = ray.train.torch.TorchTrainer(
        _worker,
        train_loop_config={"job": job},
        datasets={split: library.dataset(split, COLUMNS) for split in (TRAIN, VALIDATION)},
        # Each worker reads both splits whole and picks its own cases, see `batches`.
        dataset_config=ray.train.DataConfig(datasets_to_split=[]),
        scaling_config=ray.train.ScalingConfig(
            num_workers=plan.training.workers,
            use_gpu=use_gpu,
            resources_per_worker={"CPU": share} | ({"GPU": 1} if use_gpu else {}),
        ),
        run_config=ray.train.RunConfig(
            name=plan.signature.training_hash,
            storage_path=str(folder / RAY_RUNS),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
            failure_config=ray.train.FailureConfig(max_failures=plan.training.retries),
        ),
    )
    try:
        result = trainer.fit()
    except TrainingFailedError as error:
        raise _cause(error) from error
    if result.checkpoint is None:
        raise FwdEcgError(f"{folder}: the training ended without a checkpoint; see its log")
    return Path(result.checkpoint.path)


def _cause(error: TrainingFailedError) -> Exception:
    """The first worker's own error if it is one of ours."""
    failures = getattr(error, "worker_failures", {})
    for failure in failures.values():
        if isinstance(failure, FwdEcgError):
            return failure
    return FwdEcgError(f"the training failed: {str(error).splitlines()[0]}")


def _reserved_share(training: TrainingConfig) -> float:
    """Processors that each worker reserves in Ray.

    One processor is left to Ray Data: where workers reserve all of them it can never read a block,
    and the workers wait for it for ever.
    """
    total = ray.cluster_resources().get("CPU", 1)
    if training.cpus_per_worker:
        return training.cpus_per_worker
    spare = max(total - 1, total / 2)
    return max(int(min(spare / training.workers, LARGEST_RESERVED_SHARE) * 100) / 100, 0.01)


def _threads(training: TrainingConfig, share: float) -> int:
    """Threads of each worker: what it reserves, or its part of a machine it has for itself."""
    if training.cpus_per_worker:
        return max(int(share), 1)
    alone = len(ray.nodes()) == 1
    return max((os.cpu_count() or 1) // training.workers, 1) if alone else 1


def _worker(config: dict[str, Any]) -> None:
    """The loop that Ray Train runs in each worker process."""
    job: _WorkerJob = config["job"]
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    torch.set_num_threads(job.threads)
    splits = Splits(train=_collect(TRAIN), validation=_collect(VALIDATION))
    checkpoint = ray.train.get_checkpoint()
    device = ray.train.torch.get_device()
    if checkpoint is None:
        run_training(job.plan, splits, device=device, report=_report)
        return
    with checkpoint.as_directory() as folder:
        run_training(job.plan, splits, device=device, report=_report, resume_from=Path(folder))


def _report(record: EpochRecord, folder: Path | None) -> None:
    kept = None if folder is None else ray.train.Checkpoint.from_directory(str(folder))
    ray.train.report(asdict(record), checkpoint=kept)


def _collect(split: str) -> Cases:
    """A split, read by Ray Data, in this worker's memory."""
    shard = ray.train.get_dataset_shard(split)
    blocks = list(shard.iter_batches(batch_size=ROWS_PER_BLOCK_READ, batch_format="numpy"))
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in COLUMNS}
    return _cases(columns[CASE_ID], columns[U], columns[PHI_E])


def _cases(case_id: np.ndarray, u: np.ndarray, phi_e: np.ndarray) -> Cases:
    cases = Cases(
        case_id=torch.tensor(case_id),
        u=torch.tensor(u),
        phi_e=torch.tensor(phi_e).mT.contiguous(),
    )
    return cases.sorted()


def _identity(plan: Plan) -> dict[str, Any]:
    return {
        "model": identity_tree(plan.model),
        "training": identity_tree(plan.training),
        "library": plan.signature.library_hash,
    }


def _publish_result(plan: Plan, checkpoint: Path, folder: Path) -> dict[str, Any]:
    for name in (BEST, LAST):
        publish(folder, name, lambda path, name=name: shutil.copyfile(checkpoint / name, path))
    history = load_tensors(checkpoint / PROGRESS)["history"]
    lines = "".join(json.dumps(record) + "\n" for record in history)
    publish(folder, HISTORY, lambda path: path.write_text(lines, encoding="utf-8"))
    best = max(history, key=lambda record: record["validation_r2"])
    metrics = {
        "training_hash": plan.signature.training_hash,
        "library_hash": plan.signature.library_hash,
        "epochs": len(history),
        "best_epoch": best["epoch"],
        "best_validation_r2": best["validation_r2"],
        "best_validation_mae": best["validation_mae"],
        "last_train_loss": history[-1]["train_loss"],
        "seconds": round(sum(record["seconds"] for record in history), 1),
        "seconds_per_epoch": round(float(np.median([r["seconds"] for r in history])), 3),
    }
    publish_json(folder, METRICS, metrics)
    clear_staging(folder)
    return metrics
