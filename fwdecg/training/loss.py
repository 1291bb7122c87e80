"""The hybrid loss: Huber loss in time plus spectral entropy loss in frequency, Eq. 4-7.

Axes: B batch, T frame, E electrode.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fwdecg.training.training_config import LossConfig

EPSILON = 1e-8  # inside the logarithm of Eq. 4; also the lower bound of the total power


def spectral_entropy(signal: Float[Tensor, "*shape T"]) -> Float[Tensor, "*shape"]:
    """Return the Shannon entropy E_S in bits of each signal's normalised power spectrum, Eq. 4.

    The spectrum is the one-sided periodogram. It includes frequency 0 and counts each frequency
    once. A tone of whole cycles has entropy 0, and an impulse has the largest entropy, log2(T // 2
    + 1). The two-sided spectrum would add one bit to every tone. A signal without power has entropy
    0 and a gradient of 0.
    """
    spectrum = torch.view_as_real(torch.fft.rfft(signal, norm="forward"))
    power = spectrum.square().sum(-1)
    fraction = power / power.sum(-1, keepdim=True).clamp_min(EPSILON)
    return -(fraction * torch.log2(fraction + EPSILON)).sum(-1)


def spectral_weight(epoch: int, epochs: int) -> float:
    """Return omega(n) of Eq. 7, which falls along a cosine from 1 at epoch 0 to 0 at `epochs`."""
    return 0.5 * (1.0 + math.cos(math.pi * epoch / epochs))


def hybrid_loss(
    prediction: Float[Tensor, "B T E"],
    target: Float[Tensor, "B T E"],
    *,
    config: LossConfig,
    omega: float,
) -> Float[Tensor, " B"]:
    """Return L_total of each case, Eq. 6: Huber loss plus the weighted spectral entropy loss.

    The loss is a mean over frames and electrodes. The mean over the batch in Eq. 5 is left to the
    caller.

    Args:
        prediction: standardised ECG of the network.
        target: standardised ECG of the library.
        config: weights of the loss.
        omega: weight of the spectral term in the epoch, from `spectral_weight`.
    """
    huber = functional.huber_loss(
        prediction, target, reduction="none", delta=config.huber_delta
    ).mean(1)
    if config.variance_floor > 0:
        variance = target.var(1, correction=0)
        huber = huber * (1.0 + config.variance_floor) / (variance + config.variance_floor)
    huber = huber.mean(1)
    weight = config.spectral_weight * omega
    if weight == 0.0:
        return huber
    difference = spectral_entropy(target.mT) - spectral_entropy(prediction.mT)
    return huber + weight * difference.square().mean(1)
