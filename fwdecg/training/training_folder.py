"""The folder of a training: the checkpoint it grows from, and what it holds in the end."""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fwdecg.runtime.cost import Cost
from fwdecg.runtime.storage import METRICS_FILE, STAGING, Store
from fwdecg.training.checkpoint import load_tensors
from fwdecg.training.run import BEST, LAST, PROGRESS, EpochRecord
from fwdecg.training.training_plan import Plan

HISTORY = "history.jsonl"
CHECKPOINTS, EPOCH = "checkpoints", "epoch-"


def publish_result(plan: Plan, checkpoint: Path, folder: Path, cost: Cost) -> dict[str, Any]:
    """Copy the surrogates of a finished training's checkpoint, with its history and, last, metrics.

    Args:
        plan: of the training.
        checkpoint: folder of the checkpoint after the last epoch.
        folder: of the result.
        cost: beside that of the epochs.

    Returns:
        The content of metrics.json.
    """
    store = Store.at(folder)
    for name in (BEST, LAST):
        store.publish_with(name, partial(shutil.copyfile, checkpoint / name))
    history = load_tensors(checkpoint / PROGRESS)["history"]
    cost = sum((EpochRecord(**record).cost for record in history), cost)
    lines = "".join(json.dumps(record) + "\n" for record in history)
    store.publish(HISTORY, lines)
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
        "cost": cost.as_dict(),
    }
    store.publish_json(METRICS_FILE, metrics)
    store.clear_staging()
    return metrics


def keep_checkpoint(checkpoint: Path, folder: Path, epoch: int) -> None:
    """Keep a copy of a checkpoint's folder, in place of earlier ones, once it is whole."""
    kept = _checkpoints(folder)
    aside = folder / STAGING / f"{EPOCH}{epoch:06d}"
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(checkpoint, aside)
    target = folder / CHECKPOINTS / aside.name
    target.parent.mkdir(exist_ok=True)
    aside.rename(target)
    for earlier in kept:
        shutil.rmtree(earlier)


def newest_checkpoint(folder: Path) -> Path | None:
    """The last checkpoint that `keep_checkpoint` left in a folder, if any."""
    return max(_checkpoints(folder), default=None)


def _checkpoints(folder: Path) -> list[Path]:
    return list((folder / CHECKPOINTS).glob(f"{EPOCH}*"))
