"""One pass over the training split, and one over the validation split."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from fwdecg.errors import RunError
from fwdecg.model import Surrogate
from fwdecg.training.batches import Cases
from fwdecg.training.loss import hybrid_loss
from fwdecg.training.metrics import mae, r2
from fwdecg.training.training_config import AUTO, BFLOAT16, LossConfig, TrainingConfig
from fwdecg.training.workers import own_rank, sum_over_workers


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Loss and scores of a split: means over its cases, on standardised signals."""

    loss: float
    r2: float
    mae: float


def runs_in_bfloat16(precision: str, device: torch.device) -> bool:
    """Return whether the encoder computes in bfloat16 on a device.

    Args:
        precision: `TrainingConfig.precision`; "auto" means yes if the hardware supports bfloat16.
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
    batches: Iterable[tuple[Cases, int]],
    *,
    optimizer: torch.optim.Optimizer,
    config: TrainingConfig,
    omega: float,
) -> float:
    """Update the surrogate by one pass over the training split; return the mean loss per case.

    Args:
        surrogate: the surrogate.
        parallel_model: the same surrogate with gradients averaged over the workers.
        batches: this worker's part of each batch, and the number of cases of the whole batch.
        optimizer: optimizer of the surrogate's parameters.
        config: configuration of the training.
        omega: weight of the spectral term in this epoch.

    Raises:
        RunError: the loss is not finite.
    """
    surrogate.train()
    workers, device = own_rank().workers, surrogate.device
    bfloat16 = runs_in_bfloat16(config.precision, device)
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    for cases, global_size in batches:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
            prediction = parallel_model(cases.u.to(device))
        target = surrogate.standardise_ecg(cases.phi_e.to(device))
        loss = hybrid_loss(prediction.float(), target, config=config.loss, omega=omega).sum()
        optimizer.zero_grad()
        # `parallel_model` averages the workers' gradients. With this factor the average is the
        # gradient of the mean loss over the global batch.
        (loss * (workers / global_size)).backward()
        nn.utils.clip_grad_norm_(surrogate.parameters(), config.gradient_norm)
        optimizer.step()
        sums[0] += loss.detach()
        sums[1] += len(cases)
    total, count = sum_over_workers(sums).tolist()
    _require_finite("training", total)
    return total / count


@torch.no_grad()
def validate(surrogate: Surrogate, batches: Iterable[Cases], config: LossConfig) -> Validation:
    """Return loss, R^2 and MAE over the cases of all workers, computed in float32.

    The loss leaves out the spectral term. The weight of that term falls from epoch to epoch, so
    the loss would decrease without any progress.

    Args:
        surrogate: the surrogate.
        batches: this worker's cases.
        config: weights of the loss.

    Raises:
        RunError: the loss is not finite.
    """
    surrogate.eval()
    device = surrogate.device
    sums = torch.zeros(4, dtype=torch.float64, device=device)
    for cases in batches:
        prediction = surrogate(cases.u.to(device))
        target = surrogate.standardise_ecg(cases.phi_e.to(device))
        losses = hybrid_loss(prediction, target, config=config, omega=0.0)
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
