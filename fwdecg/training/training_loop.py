"""The training loop, which every worker runs from the first to the last epoch.

The loop is the same in a single process, under torch.distributed, in Ray Train and in a trial of
Ray Tune. The worker of rank 0 writes a checkpoint to the result folder after every epoch. A
restarted loop resumes from the newest checkpoint and reaches the same losses as an uninterrupted
one.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

from fwdecg.model.surrogate import Surrogate, build_surrogate
from fwdecg.runtime.cost import CostMeter
from fwdecg.runtime.progress import SECONDS_BETWEEN_LINES, duration_text
from fwdecg.runtime.telemetry import FRACTION_DONE, ITEMS, ITEMS_PER_SECOND, TRAINING
from fwdecg.training.batches import Splits, training_batches, worker_batches
from fwdecg.training.checkpoint import (
    BEST,
    LAST,
    PROGRESS,
    EpochRecord,
    checkpoint_path,
    keep_checkpoint,
    load_tensors,
    newest_epoch,
    save_tensors,
)
from fwdecg.training.epoch import train_epoch, validate
from fwdecg.training.loss import spectral_weight
from fwdecg.training.trained_surrogate import TrainedSurrogate, load_surrogate
from fwdecg.training.training_config import COSINE, TrainingConfig
from fwdecg.training.training_spec import TrainingSpec
from fwdecg.training.workers import own_rank, parallel, same_on_all_workers, total_cost

logger = logging.getLogger(__name__)

# The remaining time follows from the median time of this many epochs, because the first is slow.
TIMED_EPOCHS = 5
# Number of training cases from which the encoder determines its unit of speed.
TYPICAL_SPEED_CASES = 64


def run_training(
    spec: TrainingSpec,
    splits: Splits,
    folder: Path,
    *,
    device: torch.device,
    meter: CostMeter,
    report: Callable[[EpochRecord], object],
) -> None:
    """Train on this worker, in step with the other workers if there are any.

    Args:
        spec: specification of the training.
        splits: all cases, the same on every worker.
        folder: result folder of the training, which contains its checkpoints.
        device: device of this worker.
        meter: running cost meter of this worker.
        report: called on every worker after each epoch; on rank 0, after its checkpoint is written.

    Raises:
        RunError: the loss is not finite; every worker raises it.
    """
    run = _Run(spec, device, meter)
    # Workers may see different checkpoints in a network folder, so all take the epoch of rank 0.
    epoch = same_on_all_workers(newest_epoch(folder), device)
    if epoch > 0:
        run.restore(checkpoint_path(folder, epoch))
    else:
        run.surrogate.fit_typical_speed(splits.train.u[:TYPICAL_SPEED_CASES].to(device))
    if run.first:
        cases, validation = len(splits.train), len(splits.validation)
        logger.info("training on %d cases, %d for validation", cases, validation)
    while run.epoch < spec.training.epochs:
        record = run.one_epoch(splits)
        if run.first:
            keep_checkpoint(folder, record.epoch, run.save)
        report(record)


def export_progress(record: EpochRecord, spec: TrainingSpec, *, cases: int, stage: str) -> None:
    """Export the progress after an epoch as metrics, from the worker of rank 0.

    Args:
        record: record of the epoch.
        spec: specification of the training.
        cases: number of training cases.
        stage: telemetry stage. The fraction done is exported for `TRAINING` only, because several
            trials of a search run at the same time.
    """
    if own_rank().rank != 0:
        return
    ITEMS.add(stage, cases)
    ITEMS_PER_SECOND.set(stage, cases / record.seconds)
    if stage == TRAINING:
        FRACTION_DONE.set(stage, record.epoch / spec.training.epochs)


class _Run:
    """State of a training between two epochs."""

    def __init__(self, spec: TrainingSpec, device: torch.device, meter: CostMeter) -> None:
        config = spec.training
        self.meter = meter
        torch.manual_seed(config.seed)
        self.spec = spec
        self.rank = own_rank()
        electrodes = len(spec.signature.electrodes_mm)
        self.surrogate: Surrogate = build_surrogate(
            spec.model, electrodes=electrodes, standardisation=spec.standardisation
        ).to(device)
        self.model = parallel(self.surrogate)
        self.optimizer = torch.optim.Adam(self.surrogate.parameters(), lr=config.learning_rate)
        self.average = moving_average(self.surrogate, self.optimizer, config.weight_average)
        self.schedule = learning_rate_schedule(self.optimizer, config)
        self.history: list[EpochRecord] = []
        # `one_epoch` or `restore` sets these two.
        self.last: TrainedSurrogate
        self.best: TrainedSurrogate
        self.last_line = 0.0

    @property
    def first(self) -> bool:
        """Whether this is the worker that writes checkpoints and logs."""
        return self.rank.rank == 0

    @property
    def evaluated(self) -> Surrogate:
        """The surrogate that is validated and kept: the moving average, if there is one."""
        return cast(Surrogate, self.average.module) if self.average else self.surrogate

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.history)

    def one_epoch(self, splits: Splits) -> EpochRecord:
        """Train and validate for one epoch, update `last` and `best`, and return the record."""
        started, config, epoch = time.monotonic(), self.spec.training, self.epoch
        # Dropout draws from the global generator. Seeding it in every epoch makes resuming exact.
        sequence = np.random.SeedSequence((config.seed, epoch, self.rank.rank))
        torch.manual_seed(int(sequence.generate_state(1)[0]))
        learning_rate = self.optimizer.param_groups[0]["lr"]
        omega = spectral_weight(epoch, config.epochs)
        train_loss = train_epoch(
            self.surrogate,
            self.model,
            training_batches(splits.train, config, epoch=epoch, rank=self.rank),
            optimizer=self.optimizer,
            config=config,
            omega=omega,
        )
        batches = worker_batches(splits.validation, config.batch_size, rank=self.rank)
        validation = validate(self.evaluated, batches, config.loss)
        self.schedule.step(validation.loss)
        weights = self.evaluated.state_dict()
        self.last = TrainedSurrogate(
            state={name: value.detach().cpu().clone() for name, value in weights.items()},
            config=self.spec.model,
            standardisation=self.spec.standardisation,
            signature=self.spec.signature,
            validation=validation,
            epoch=epoch + 1,
        )
        if epoch == 0 or validation.r2 > self.best.validation.r2:
            self.best = self.last
        cost = total_cost(self.meter.lap(), self.surrogate.device)
        record = EpochRecord(
            epoch=epoch + 1,
            train_loss=train_loss,
            validation_loss=validation.loss,
            validation_r2=validation.r2,
            validation_mae=validation.mae,
            best_r2=self.best.validation.r2,
            learning_rate=learning_rate,
            omega=omega,
            seconds=time.monotonic() - started,
            **asdict(cost),
        )
        self.history.append(record)
        self._log(record)
        return record

    def save(self, folder: Path) -> None:
        """Write the files of a checkpoint."""
        self.last.save(folder / LAST)
        self.best.save(folder / BEST)
        progress = {
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "history": [asdict(record) for record in self.history],
        }
        if self.average:
            progress["weights"] = self.surrogate.state_dict()
            progress["average"] = self.average.state_dict()
        save_tensors(folder / PROGRESS, progress)

    def restore(self, checkpoint: Path) -> None:
        """Restore the state that `save` wrote."""
        progress = load_tensors(checkpoint / PROGRESS)
        self.best, self.last = load_surrogate(checkpoint / BEST), load_surrogate(checkpoint / LAST)
        self.surrogate.load_state_dict(progress.get("weights", self.last.state))
        if self.average:
            self.average.load_state_dict(progress["average"])
        self.optimizer.load_state_dict(progress["optimizer"])
        self.schedule.load_state_dict(progress["schedule"])
        self.history = [EpochRecord(**record) for record in progress["history"]]
        logger.info("resuming after epoch %d", self.epoch)

    def _log(self, record: EpochRecord) -> None:
        now, epochs = time.monotonic(), self.spec.training.epochs
        due = now - self.last_line >= SECONDS_BETWEEN_LINES or record.epoch == epochs
        if not self.first or not due:
            return
        self.last_line = now
        recent = [earlier.seconds for earlier in self.history[-TIMED_EPOCHS:]]
        left_s = (epochs - record.epoch) * float(np.median(recent))
        logger.info(
            "epoch %d/%d: loss %.4f, validation loss %.4f, R2 %.4f (best %.4f), rate %.1e, %s left",
            record.epoch,
            epochs,
            record.train_loss,
            record.validation_loss,
            record.validation_r2,
            record.best_r2,
            record.learning_rate,
            duration_text(left_s),
        )


def moving_average(
    surrogate: Surrogate, optimizer: Optimizer, decay: float
) -> AveragedModel | None:
    """Return the exponential moving average of a surrogate's weights and batch statistics.

    It is updated after every step of the optimizer, the first of which it copies. With a decay of
    0 there is none.
    """
    if decay == 0:
        return None
    average = AveragedModel(surrogate, avg_fn=get_ema_avg_fn(decay), use_buffers=True)
    optimizer.register_step_post_hook(lambda *_: average.update_parameters(surrogate))
    return average


class CosineDecay(CosineAnnealingLR):
    """Lower the learning rate along half a cosine to 0 after `T_max` epochs."""

    def step(self, _: float | None = None) -> None:
        """Set the rate of the next epoch; the validation loss is ignored."""
        super().step()


def learning_rate_schedule(
    optimizer: Optimizer, config: TrainingConfig
) -> CosineDecay | ReduceLROnPlateau:
    """Return the schedule of a training; call its `step` with each epoch's validation loss.

    The plateau schedule halves the rate after `config.patience` consecutive epochs without a lower
    loss, and then restarts the count.
    """
    if config.schedule == COSINE:
        return CosineDecay(optimizer, T_max=config.epochs)
    # torch halves the rate after patience + 1 epochs without a lower loss, hence the - 1. Its
    # default threshold ignores gains below 0.01 %, and its default eps stops halving near a rate of
    # 1e-8.
    return ReduceLROnPlateau(
        optimizer, factor=0.5, patience=config.patience - 1, threshold=0.0, eps=0.0
    )
