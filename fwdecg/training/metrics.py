"""Metrics of agreement between predicted and true ECG, per case and in float64.

Axes: B batch, T frame, E electrode. Each metric is a mean over the electrodes of a case.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from fwdecg.training.loss import spectral_entropy


def r2(prediction: Float[Tensor, "B T E"], target: Float[Tensor, "B T E"]) -> Float64[Tensor, " B"]:
    """Return the coefficient of determination R^2: 1 is perfect, 0 is as good as the target's mean.

    R^2 is not defined at an electrode whose target is constant. There it is set to 1 for an exact
    prediction and to 0 for any other.
    """
    truth = target.double()
    residual = (prediction.double() - truth).square().sum(1)
    total = (truth - truth.mean(1, keepdim=True)).square().sum(1)
    constant = truth.amax(1) == truth.amin(1)
    defined = 1.0 - residual / torch.where(constant, 1.0, total)
    return torch.where(constant, (residual == 0).double(), defined).mean(1)


def mae(
    prediction: Float[Tensor, "B T E"], target: Float[Tensor, "B T E"]
) -> Float64[Tensor, " B"]:
    """Return the mean absolute error in the unit of the signals."""
    return (prediction.double() - target.double()).abs().mean((1, 2))


def rmse(
    prediction: Float[Tensor, "B T E"], target: Float[Tensor, "B T E"]
) -> Float64[Tensor, " B"]:
    """Return the root mean square error over frames in the unit of the signals."""
    return (prediction.double() - target.double()).square().mean(1).sqrt().mean(1)


def spectral_entropy_error(
    prediction: Float[Tensor, "B T E"], target: Float[Tensor, "B T E"]
) -> Float64[Tensor, " B"]:
    """Return the absolute difference of the spectral entropies (Eq. 4) in bits."""
    entropies = (spectral_entropy(signal.double().mT) for signal in (prediction, target))
    return torch.sub(*entropies).abs().mean(1)
