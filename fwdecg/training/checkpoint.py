"""Checkpoints of a training, kept in its result folder.

After every epoch the worker of rank 0 writes `checkpoints/epoch-NNNNNN`, which replaces the
previous checkpoint. A training that starts again, in one process or on workers, resumes from the
newest one.
"""

import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fwdecg.errors import CheckpointError
from fwdecg.runtime.cost import Cost
from fwdecg.runtime.storage import STAGING, errors_that_name

# Files of a checkpoint: the surrogate after the best and after the last epoch, and the state of
# optimizer, learning rate schedule and history.
BEST, LAST, PROGRESS = "best.safetensors", "last.safetensors", "progress.pt"

# A finished training publishes copies of BEST and LAST, and the records of all epochs in HISTORY.
HISTORY = "history.jsonl"
CHECKPOINTS, EPOCH = "checkpoints", "epoch-"


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """Results of one epoch. Losses and scores are means over the cases, on standardised signals.

    The training loss includes the spectral term with the weight of the epoch, `omega`. The
    validation loss leaves the spectral term out and is therefore comparable between epochs. The
    cost covers all workers, from the end of the previous epoch or, if they were started since, from
    their start. It is 0 in the records of versions that did not measure it.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    validation_r2: float
    validation_mae: float
    best_r2: float
    learning_rate: float
    omega: float
    seconds: float
    core_seconds: float = 0.0
    gpu_seconds: float = 0.0
    peak_memory_bytes: int = 0

    @property
    def cost(self) -> Cost:
        """Cost of the epoch."""
        return Cost(
            core_seconds=self.core_seconds,
            gpu_seconds=self.gpu_seconds,
            peak_memory_bytes=self.peak_memory_bytes,
        )


def keep_checkpoint(folder: Path, epoch: int, write: Callable[[Path], object]) -> None:
    """Write the checkpoint of an epoch atomically, then delete the earlier ones.

    Args:
        folder: result folder of the training.
        epoch: number of finished epochs.
        write: function that writes the files of the checkpoint into a given folder.
    """
    earlier = _checkpoints(folder)
    target = checkpoint_path(folder, epoch)
    staged = folder / STAGING / target.name
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    with errors_that_name(target):
        write(staged)
    target.parent.mkdir(exist_ok=True)
    staged.rename(target)
    for path in earlier:
        shutil.rmtree(path, ignore_errors=True)


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """Return the path of the checkpoint of an epoch, whether or not it exists."""
    return folder / CHECKPOINTS / f"{EPOCH}{epoch:06d}"


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint in the result folder of a training, or None."""
    return max(_checkpoints(folder), default=None)


def newest_epoch(folder: Path) -> int:
    """Return the epoch of the newest checkpoint, 0 if there is none."""
    newest = newest_checkpoint(folder)
    return int(newest.name.removeprefix(EPOCH)) if newest else 0


def save_tensors(path: Path, content: Any) -> None:
    """Write tensors and plain values to a file.

    Raises:
        OSError: the file cannot be written. `torch.save` itself raises a RuntimeError, which does
            not say that the disk is full.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.write_bytes(buffer.getbuffer())


def load_tensors(path: Path) -> Any:
    """Load a file of tensors and plain values; no code in it is executed.

    Raises:
        CheckpointError: the file is missing or damaged, or contains other objects.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types of error for damaged files
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint: it is missing or damaged, or contains more "
            "than tensors; delete its folder"
        ) from error


def load_history(checkpoint: Path) -> list[EpochRecord]:
    """Return the records of all epochs up to a checkpoint.

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
    """
    return [EpochRecord(**record) for record in load_tensors(checkpoint / PROGRESS)["history"]]


def _checkpoints(folder: Path) -> list[Path]:
    return list((folder / CHECKPOINTS).glob(f"{EPOCH}*"))
