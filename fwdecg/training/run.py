"""A training from first to last epoch, as each of its workers runs it.

Nothing here knows who started the workers: one process alone, several under torch.distributed, or
Ray Train. What differs is handed in: the cases, and what to do with each epoch's checkpoint.
"""

import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from fwdecg.model import Surrogate
from fwdecg.runtime.cost import Cost, CostMeter
from fwdecg.runtime.progress import SECONDS_BETWEEN_LINES, duration_text
from fwdecg.training.batches import Cases, Shuffle, own_batches, training_batches
from fwdecg.training.checkpoint import TrainedSurrogate, load_surrogate, load_tensors
from fwdecg.training.epoch import Objective, Validation, train_epoch, validate
from fwdecg.training.loss import spectral_weight
from fwdecg.training.precision import autocasts
from fwdecg.training.schedule import learning_rate_schedule
from fwdecg.training.training_plan import Plan
from fwdecg.training.workers import Seat, own_seat, parallel, total_cost

logger = logging.getLogger(__name__)

EPOCHS_TIMED = 5  # whose median time tells how long the rest takes; the first one starts slowly

CALIBRATION_CASES = 64

# Files of a checkpoint: the surrogate after the best and after the last epoch, and the rest.
BEST, LAST, PROGRESS = "best.safetensors", "last.safetensors", "progress.pt"


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """What one epoch came to; losses and errors on z-scored signals, means over cases.

    The training loss has the spectral term with the epoch's weight, the validation loss has not:
    so it can be compared between epochs. The cost is that of all workers since the epoch before, or
    since they began; 0 in records of versions that did not measure it.
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
        """Of the epoch."""
        return Cost(
            core_seconds=self.core_seconds,
            gpu_seconds=self.gpu_seconds,
            peak_memory_bytes=self.peak_memory_bytes,
        )


# Called after each epoch on every worker; the folder is that of the first worker's checkpoint and
# vanishes afterwards, the other workers get None.
Report = Callable[[EpochRecord, Path | None], None]


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The cases that a training sees."""

    train: Cases
    validation: Cases


def run_training(
    plan: Plan,
    splits: Splits,
    *,
    device: torch.device,
    report: Report,
    meter: CostMeter,
    resume_from: Path | None = None,
) -> None:
    """Train on this worker, together with the others if there are any.

    Args:
        plan: what to train.
        splits: all cases, the same on every worker.
        device: of this worker.
        report: told of each epoch.
        meter: of this worker, running.
        resume_from: folder of a checkpoint to go on from.
    """
    run = _Run(plan, device, meter)
    if resume_from is None:
        run.surrogate.calibrate(splits.train.u[:CALIBRATION_CASES].to(device))
    else:
        run.restore(resume_from)
    if run.seat.rank == 0:
        cases, validation = len(splits.train), len(splits.validation)
        logger.info("training on %d cases, %d for validation", cases, validation)
    while run.epoch < plan.training.epochs:
        record = run.one_epoch(splits)
        with tempfile.TemporaryDirectory(prefix="fwdecg-checkpoint-") as folder:
            if run.seat.rank == 0:
                run.save(Path(folder))
            report(record, Path(folder) if run.seat.rank == 0 else None)


class _Run:
    """The state of a training between two epochs."""

    def __init__(self, plan: Plan, device: torch.device, meter: CostMeter) -> None:
        config = plan.training
        self.meter = meter
        torch.manual_seed(config.seed)
        self.plan = plan
        self.seat: Seat = own_seat()
        electrodes = len(plan.signature.electrodes_mm)
        self.surrogate: Surrogate = plan.model.build(
            electrodes=electrodes, standardisation=plan.standardisation
        ).to(device)
        self.model = parallel(self.surrogate)
        self.optimizer = torch.optim.Adam(self.surrogate.parameters(), lr=config.learning_rate)
        self.schedule = learning_rate_schedule(self.optimizer, config)
        self.history: list[EpochRecord] = []
        self.best: dict[str, torch.Tensor] = {}
        self.best_epoch = 0
        self.last_line = 0.0

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.history)

    @property
    def best_r2(self) -> float:
        return max((record.validation_r2 for record in self.history), default=-float("inf"))

    def one_epoch(self, splits: Splits) -> EpochRecord:
        """Train, validate, keep the best state."""
        started, config, epoch = time.monotonic(), self.plan.training, self.epoch
        # Dropout draws from the global generator: seeded by the epoch it can resume anywhere.
        torch.manual_seed(_mix(config.seed, epoch, self.seat.rank))
        learning_rate = self.optimizer.param_groups[0]["lr"]
        objective = self._objective()
        train_loss = self._train(splits.train, objective)
        validation = self._validate(splits.validation, objective)
        if validation.r2 > self.best_r2:
            self.best, self.best_epoch = _copy(self.surrogate), epoch + 1
        cost = total_cost(self.meter.lap(), self.surrogate.device)
        record = EpochRecord(
            epoch=epoch + 1,
            train_loss=train_loss,
            validation_loss=validation.loss,
            validation_r2=validation.r2,
            validation_mae=validation.mae,
            best_r2=max(self.best_r2, validation.r2),
            learning_rate=learning_rate,
            omega=objective.omega,
            seconds=time.monotonic() - started,
            **asdict(cost),
        )
        self.history.append(record)
        self._log(record)
        return record

    def _objective(self) -> Objective:
        config = self.plan.training
        return Objective(
            loss=config.loss.build(),
            omega=spectral_weight(self.epoch, config.epochs),
            gradient_norm=config.gradient_norm,
            autocast=autocasts(config.precision, self.surrogate.device),
        )

    def _train(self, cases: Cases, objective: Objective) -> float:
        config = self.plan.training
        shuffle = Shuffle(
            batch_size=config.batch_size, mirror=config.mirror, seed=config.seed, epoch=self.epoch
        )
        return train_epoch(
            self.surrogate,
            self.model,
            training_batches(cases, shuffle, self.seat),
            optimizer=self.optimizer,
            objective=objective,
        )

    def _validate(self, cases: Cases, objective: Objective) -> Validation:
        """Validate, and let the schedule know."""
        batches = own_batches(cases, self.plan.training.batch_size, seat=self.seat)
        # The falling weight of the spectral term would pass for an improvement of its own.
        validation = validate(
            self.surrogate, batches, replace(objective, omega=0.0, autocast=False)
        )
        self.schedule.step(validation.loss)
        return validation

    def save(self, folder: Path) -> None:
        """Write a checkpoint's three files."""
        self._trained(_copy(self.surrogate), self.epoch).save(folder / LAST)
        self._trained(self.best, self.best_epoch).save(folder / BEST)
        progress = {
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "history": [asdict(record) for record in self.history],
        }
        torch.save(progress, folder / PROGRESS)

    def restore(self, folder: Path) -> None:
        """Take up the state that `save` wrote."""
        progress = load_tensors(folder / PROGRESS)
        best = load_surrogate(folder / BEST)
        self.surrogate.load_state_dict(load_surrogate(folder / LAST).state)
        self.best, self.best_epoch = best.state, best.epoch
        self.optimizer.load_state_dict(progress["optimizer"])
        self.schedule.load_state_dict(progress["schedule"])
        self.history = [EpochRecord(**record) for record in progress["history"]]
        logger.info("resuming after epoch %d", self.epoch)

    def _trained(self, state: dict[str, torch.Tensor], epoch: int) -> TrainedSurrogate:
        record = self.history[epoch - 1]
        return TrainedSurrogate(
            state=state,
            config=self.plan.model,
            standardisation=self.plan.standardisation,
            signature=self.plan.signature,
            validation=Validation(
                loss=record.validation_loss, r2=record.validation_r2, mae=record.validation_mae
            ),
            epoch=epoch,
        )

    def _log(self, record: EpochRecord) -> None:
        now, epochs = time.monotonic(), self.plan.training.epochs
        due = now - self.last_line >= SECONDS_BETWEEN_LINES or record.epoch == epochs
        if self.seat.rank != 0 or not due:
            return
        self.last_line = now
        recent = [earlier.seconds for earlier in self.history[-EPOCHS_TIMED:]]
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


def _copy(surrogate: Surrogate) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().clone() for name, value in surrogate.state_dict().items()}


def _mix(*numbers: int) -> int:
    """One seed from several."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
