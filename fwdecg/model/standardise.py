"""z-scores with the mean and spread of the training split, kept inside the model.

Axes: E electrode (or any last axis with a mean and spread of its own).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fwdecg.errors import LibraryError


@dataclass(frozen=True, kw_only=True)
class Standardisation:
    """Mean and spread (standard deviation) over a library's training split.

    Attributes:
        u_mean: mean of the voltage maps, dimensionless.
        u_spread: spread of the voltage maps, dimensionless.
        phi_e_mean: mean of each electrode's ECG, in the library's unit.
        phi_e_spread: spread of each electrode's ECG, in the library's unit.

    Raises:
        LibraryError: a value is not finite, a spread is not above 0, or the electrodes' numbers of
            means and spreads differ.
    """

    u_mean: float
    u_spread: float
    phi_e_mean: tuple[float, ...]
    phi_e_spread: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse statistics that no z-score can be made of."""
        means, spreads = (self.u_mean, *self.phi_e_mean), (self.u_spread, *self.phi_e_spread)
        if len(means) != len(spreads):
            raise LibraryError(
                f"{len(self.phi_e_mean)} means and {len(self.phi_e_spread)} spreads of phi_e: must "
                "be one each per electrode; compute the library's statistics anew"
            )
        for value in (*means, *spreads):
            if not math.isfinite(value):
                raise LibraryError(
                    f"a mean or spread is {value}: must be finite; compute the library's "
                    "statistics anew"
                )
        if min(spreads) <= 0:
            raise LibraryError(
                f"a spread is {min(spreads):g}: must be above 0; the training split needs cases "
                "that activate"
            )


class Standardise(nn.Module):
    """x -> (x - mean) / spread and back, with mean and spread broadcast over the last axis."""

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Float[Tensor, "*E"], spread: Float[Tensor, "*E"]) -> None:
        """Keep mean and spread as buffers, so that checkpoints carry them.

        Args:
            mean: scalar, or one value per entry of the last axis; unit of the quantity.
            spread: standard deviation, of the same shape; above 0.
        """
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.register_buffer("spread", spread.clone())

    def forward(self, values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """z-scores of `values`, in the buffers' precision (half-precision input is widened)."""
        return (values.to(self.mean.dtype) - self.mean) / self.spread

    def inverse(self, scores: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The values whose z-scores are `scores`, in the unit of mean and spread."""
        return torch.addcmul(self.mean, scores, self.spread)
