"""One pass over the training split, and one over the validation split.

Axes: B batch, T frame, H row, W column, E electrode.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from fwdecg.errors import RunError
from fwdecg.model import Surrogate
from fwdecg.training.batches import Batch, Cases
from fwdecg.training.loss import HybridLoss
from fwdecg.training.metrics import mae, r2
from fwdecg.training.workers import own_seat, sum_over_workers


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Means over the cases of a split, of all workers, on z-scored signals."""

    loss: float
    r2: float
    mae: float


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What an epoch minimises, and how.

    Attributes:
        loss: per case.
        omega: weight of its spectral term in this epoch.
        gradient_norm: upper bound of the gradient's norm.
        autocast: whether the encoder runs in bfloat16.
    """

    loss: HybridLoss
    omega: float
    gradient_norm: float
    autocast: bool


def train_epoch(
    surrogate: Surrogate,
    parallel_model: nn.Module,
    batches: Iterable[Batch],
    *,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
) -> float:
    """Mean loss per case of one pass, after each batch of which the model is updated.

    Args:
        surrogate: the model.
        parallel_model: the same, averaging its gradients over the workers.
        batches: this worker's shares.
        optimizer: of the model's parameters.
        objective: of this epoch.

    Raises:
        RunError: the loss stops being finite.
    """
    surrogate.train()
    workers = own_seat().workers
    sums = torch.zeros(2, dtype=torch.float64, device=surrogate.device)
    for batch in batches:
        loss = _losses(surrogate, parallel_model, batch.cases, objective).sum()
        optimizer.zero_grad()
        # Workers average gradients; scaled like this the average is the global batch's mean.
        (loss * (workers / batch.global_size)).backward()
        nn.utils.clip_grad_norm_(surrogate.parameters(), objective.gradient_norm)
        optimizer.step()
        sums[0] += loss.detach()
        sums[1] += len(batch.cases)
    total, count = sum_over_workers(sums).tolist()
    _require_finite("training", total)
    return total / count


@torch.no_grad()
def validate(surrogate: Surrogate, batches: Iterable[Cases], objective: Objective) -> Validation:
    """Loss, R^2 and MAE over the cases of all workers.

    Args:
        surrogate: the model.
        batches: this worker's cases.
        objective: of the epoch.

    Raises:
        RunError: the loss is not finite.
    """
    surrogate.eval()
    sums = torch.zeros(4, dtype=torch.float64, device=surrogate.device)
    for cases in batches:
        prediction, target = _forward(surrogate, surrogate, cases, objective)
        losses = objective.loss(prediction, target, omega=objective.omega)
        parts = (losses, r2(prediction, target), mae(prediction, target))
        sums[:3] += torch.stack([part.sum() for part in parts])
        sums[3] += len(cases)
    loss, r2_sum, mae_sum, count = sum_over_workers(sums).tolist()
    _require_finite("validation", loss)
    return Validation(loss=loss / count, r2=r2_sum / count, mae=mae_sum / count)


def _require_finite(what: str, loss: float) -> None:
    if not math.isfinite(loss):
        raise RunError(
            f"the {what} loss is not finite; lower training.learning_rate or "
            "training.gradient_norm and choose another training.path"
        )


def _losses(
    surrogate: Surrogate, model: nn.Module, cases: Cases, objective: Objective
) -> torch.Tensor:
    prediction, target = _forward(surrogate, model, cases, objective)
    return objective.loss(prediction, target, omega=objective.omega)


def _forward(
    surrogate: Surrogate, model: nn.Module, cases: Cases, objective: Objective
) -> tuple[torch.Tensor, torch.Tensor]:
    """Prediction and target, standardised, (B, T, E) in float32."""
    here = cases.to(surrogate.device)
    with torch.autocast(surrogate.device.type, dtype=torch.bfloat16, enabled=objective.autocast):
        prediction = model(here.u)
    return prediction.float(), surrogate.standardise_ecg(here.phi_e)
