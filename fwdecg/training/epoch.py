"""One pass over the training split, and one over the validation split.

Axes: B batch, T frame, H row, W column, E electrode.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fwdecg.errors import RunError
from fwdecg.model import Surrogate
from fwdecg.training.batches import Batch, Cases
from fwdecg.training.loss import HybridLoss
from fwdecg.training.metrics import mae, r2
from fwdecg.training.training_config import AUTO, BFLOAT16
from fwdecg.training.workers import own_rank, sum_over_workers


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Means over the cases of a split on standardised signals."""

    loss: float
    r2: float
    mae: float


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What an epoch minimises, and how.

    Attributes:
        loss: loss of each case.
        omega: weight of the spectral term in this epoch.
        gradient_norm: upper bound of the gradient's norm.
        bfloat16: whether the encoder computes in bfloat16.
    """

    loss: HybridLoss
    omega: float
    gradient_norm: float
    bfloat16: bool


def runs_in_bfloat16(precision: str, device: torch.device) -> bool:
    """Return whether the encoder computes in bfloat16 on a device.

    Args:
        precision: setting of a `TrainingConfig`; "auto" means yes if the hardware supports it.
        device: device of the network.
    """
    if precision != AUTO:
        return precision == BFLOAT16
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def train_epoch(
    surrogate: Surrogate,
    parallel_model: nn.Module,
    batches: Iterable[Batch],
    *,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
) -> float:
    """Update the surrogate by one pass over the training split; return the mean loss per case.

    Args:
        surrogate: the surrogate.
        parallel_model: the same surrogate with gradients averaged over the workers.
        batches: this worker's part of each batch.
        optimizer: optimizer of the surrogate's parameters.
        objective: objective of this epoch.

    Raises:
        RunError: the loss is not finite.
    """
    surrogate.train()
    workers = own_rank().workers
    sums = torch.zeros(2, dtype=torch.float64, device=surrogate.device)
    for batch in batches:
        prediction, target = _forward(surrogate, parallel_model, batch.cases, objective)
        loss = objective.loss(prediction, target, omega=objective.omega).sum()
        optimizer.zero_grad()
        # The workers' gradients are averaged. With this factor the average is the gradient of the
        # mean over the global batch.
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
    """Return loss, R^2 and MAE over the cases of all workers.

    Args:
        surrogate: the surrogate.
        batches: this worker's cases.
        objective: objective of the epoch.

    Raises:
        RunError: the loss is not finite.
    """
    surrogate.eval()
    sums = torch.zeros(4, dtype=torch.float64, device=surrogate.device)
    for cases in batches:
        prediction, target = _forward(surrogate, surrogate, cases, objective)
        losses = objective.loss(prediction, target, omega=objective.omega)
        terms = (losses, r2(prediction, target), mae(prediction, target))
        sums[:3] += torch.stack([term.sum() for term in terms])
        sums[3] += len(cases)
    loss, r2_sum, mae_sum, count = sum_over_workers(sums).tolist()
    _require_finite("validation", loss)
    return Validation(loss=loss / count, r2=r2_sum / count, mae=mae_sum / count)


def _require_finite(split: str, loss: float) -> None:
    if not math.isfinite(loss):
        raise RunError(
            f"the {split} loss is not finite; lower training.learning_rate or "
            "training.gradient_norm and choose another training.path"
        )


def _forward(
    surrogate: Surrogate, model: nn.Module, cases: Cases, objective: Objective
) -> tuple[Float[Tensor, "B T E"], Float[Tensor, "B T E"]]:
    """Return prediction and target, standardised, in float32."""
    local = cases.to(surrogate.device)
    with torch.autocast(surrogate.device.type, dtype=torch.bfloat16, enabled=objective.bfloat16):
        prediction = model(local.u)
    return prediction.float(), surrogate.standardise_ecg(local.phi_e)
