"""The hybrid loss: Huber in time and spectral entropy in frequency, Eq. 4-7.

Axes: B batch, T frame, E electrode.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-8  # of Eq. 4, a share of power; also the least power that is divided by


def spectral_entropy(signal: Float[Tensor, "*shape T"]) -> Float[Tensor, "*shape"]:
    """Shannon entropy E_S in bits of each signal's normalised power spectrum, Eq. 4.

    The spectrum is the one-sided periodogram, frequency 0 included and each frequency counted
    once: a tone of whole cycles has entropy 0, an impulse the most there is, log2(T // 2 + 1). The
    two-sided spectrum would add one bit to every tone. A signal of no power has entropy 0, and a
    gradient of 0.
    """
    spectrum = torch.view_as_real(torch.fft.rfft(signal, norm="forward"))
    power = spectrum.square().sum(-1)
    share = power / power.sum(-1, keepdim=True).clamp_min(EPSILON)
    return -(share * torch.log2(share + EPSILON)).sum(-1)


def spectral_weight(epoch: int, epochs: int) -> float:
    """omega(n) of Eq. 7: from 1 at epoch 0 along a cosine to 0 at epoch `epochs`."""
    return 0.5 * (1.0 + math.cos(math.pi * epoch / epochs))


@dataclass(frozen=True)
class HybridLoss:
    """L_total of each case, Eq. 6: Huber loss plus the weighted spectral entropy loss.

    Attributes:
        huber_delta: error at which the Huber loss turns from square to absolute.
        variance_floor: the Huber loss of an electrode is divided by the variance of its target plus
            this, times 1 plus this: a target of variance 1 counts as ever. 0 divides by nothing.
        spectral_weight: factor beside omega(n); 0 leaves the spectral term out.
    """

    huber_delta: float
    variance_floor: float
    spectral_weight: float

    def __call__(
        self,
        prediction: Float[Tensor, "B T E"],
        target: Float[Tensor, "B T E"],
        *,
        omega: float,
    ) -> Float[Tensor, " B"]:
        """Loss per case, a mean over frames and electrodes; Eq. 5's mean over B is the caller's.

        Args:
            prediction: ECG of the network, standardised.
            target: ECG of the library, standardised.
            omega: weight of the epoch, from the function `spectral_weight`.
        """
        huber = functional.huber_loss(
            prediction, target, reduction="none", delta=self.huber_delta
        ).mean(1)
        if self.variance_floor > 0:
            variance = target.var(1, correction=0)
            huber = huber * (1.0 + self.variance_floor) / (variance + self.variance_floor)
        huber = huber.mean(1)
        weight = self.spectral_weight * omega
        if weight == 0.0:
            return huber
        difference = spectral_entropy(target.mT) - spectral_entropy(prediction.mT)
        return huber + weight * difference.square().mean(1)
