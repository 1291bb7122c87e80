"""z-scores with the mean and standard deviation of the training split, stored in the model.

Axes: E electrode (or any last axis whose entries have their own mean and standard deviation).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fwdecg.errors import LibraryError


@dataclass(frozen=True, kw_only=True)
class Standardisation:
    """Means and standard deviations over a library's training split, as in statistics.json.

    Attributes:
        u_mean: mean of the voltage maps, dimensionless.
        u_spread: standard deviation of the voltage maps, dimensionless.
        phi_e_mean: mean of each electrode's ECG, in the library's unit.
        phi_e_spread: standard deviation of each electrode's ECG, in the library's unit.

    Raises:
        LibraryError: a value is not finite, a standard deviation is not above 0, or the numbers of
            means and standard deviations differ.
    """

    u_mean: float
    u_spread: float
    phi_e_mean: tuple[float, ...]
    phi_e_spread: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check that z-scores can be computed."""
        means, deviations = (self.u_mean, *self.phi_e_mean), (self.u_spread, *self.phi_e_spread)
        if len(means) != len(deviations):
            raise LibraryError(
                f"{len(self.phi_e_mean)} means and {len(self.phi_e_spread)} standard deviations of "
                "phi_e: must be one of each per electrode; recompute the library's statistics"
            )
        for value in (*means, *deviations):
            if not math.isfinite(value):
                raise LibraryError(
                    f"a mean or standard deviation is {value}: must be finite; recompute the "
                    "library's statistics"
                )
        if min(deviations) <= 0:
            raise LibraryError(
                f"a standard deviation is {min(deviations):g}: must be above 0; the training split "
                "needs cases that activate"
            )


class ZScore(nn.Module):
    """x -> (x - mean) / standard deviation and its inverse, broadcast over the last axis."""

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Float[Tensor, "*E"], spread: Float[Tensor, "*E"]) -> None:
        """Register both as buffers, so that checkpoints contain them.

        Args:
            mean: scalar, or one value per entry of the last axis, in the unit of the quantity.
            spread: standard deviation, of the same shape; above 0.
        """
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.register_buffer("spread", spread.clone())

    def forward(self, values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the z-scores of values, in the precision of the buffers."""
        return (values.to(self.mean.dtype) - self.mean) / self.spread

    def inverse(self, scores: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the values with the given z-scores, in the unit of the mean."""
        return torch.addcmul(self.mean, scores, self.spread)
