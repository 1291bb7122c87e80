"""The mean voltage of a map in place of a learnt latent: the surrogate without its CNN.

Axes: B batch, T frame, H row, W column; the latent has one entry.
"""

from jaxtyping import Float
from torch import Tensor, nn


class MeanVoltage(nn.Module):
    """How much of the sheet is excited, and nothing of where."""

    latent_size = 1

    def forward(self, maps: Float[Tensor, "B T H W"]) -> Float[Tensor, "B T 1"]:
        """Mean of each standardised map."""
        return maps.mean((2, 3)).unsqueeze(-1)
