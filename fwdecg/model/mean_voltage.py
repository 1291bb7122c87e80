"""The mean voltage of a map in place of a learnt latent: the surrogate without its CNN.

Axes: B batch, T frame, H row, W column; the latent has one entry.
"""

from jaxtyping import Float
from torch import Tensor, nn

from fwdecg.model.encoded import Encoded
from fwdecg.model.standardise import Standardise


class MeanVoltage(nn.Module):
    """How much of the sheet is excited, and nothing of where."""

    latent_size = 1

    def __init__(self, u_score: Standardise) -> None:
        """Keep the z-score of the maps."""
        super().__init__()
        self.u_score = u_score

    def forward(self, u: Float[Tensor, "B T H W"]) -> Encoded:
        """z-score of each map's mean."""
        mean = u.mean((2, 3), dtype=self.u_score.mean.dtype)
        return Encoded(self.u_score(mean).unsqueeze(-1))
