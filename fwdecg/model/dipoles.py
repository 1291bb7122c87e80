"""The current dipoles of Eq. 1, as far as voltage maps tell them.

Axes: B batch, T frame, H row, W column, P row or column of a coarse grid of cells, F feature,
L latent.

Eq. 1 is minus the sum of D grad u . grad(1/r): seen from afar an excited sheet is one of dipoles
D grad u, and grad(1/r) hardly changes within a cell of the coarse grid. What stands in for D is the
squared speed of the front; how that and grad u are read off maps is told in `readings`.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fwdecg.model.autocast import unrounded
from fwdecg.model.encoded import Encoded
from fwdecg.model.map_features import conducting_share, front_speed, read_maps, speed_of

TYPICAL_STEP = 0.3  # of the voltage across a cell that a front is in


class DipoleEncoder(nn.Module):
    """One latent vector per voltage map: a linear layer over the dipoles of all cells.

    Eq. 1 is linear in D, so what stands in for D is the amplitude that the ECG is decoded in: a
    small ECG of slow tissue then comes out with as small an error.
    """

    typical_square: Tensor

    def __init__(self, *, cells: int, latent_size: int, dropout: float) -> None:
        """Initialise from torch's global generator, which also draws the dropout masks.

        Args:
            cells: side P of the coarse grid that a map is divided into, whatever its size.
            latent_size: L.
            dropout: share of the latents' entries dropped in training, in [0, 1).
        """
        super().__init__()
        self.cells = cells
        self.latent_size = latent_size
        self.register_buffer("typical_square", torch.tensor(1.0))
        self.weigh = nn.Linear(4 * cells**2 + 1, latent_size)
        self.dropout = nn.Dropout(dropout)

    def calibrate(self, u: Float[Tensor, "B T H W"]) -> None:
        """Take the mean squared speed of some maps, the geometric one, for the unit of speeds.

        A network learns soonest from features near 1.
        """
        squares = front_speed(u.to(self.typical_square.dtype)).square()
        self.typical_square.copy_(squares.log().mean().exp())

    def forward(self, u: Float[Tensor, "B T H W"]) -> Encoded:
        """Latent vectors l_t of dimensionless maps with at least 4 rows and columns."""
        # Neighbours differ little: the differences need the precision that the maps have.
        with unrounded(u):
            maps = u.to(self.weigh.weight.dtype)
            share = conducting_share(maps)
            steps, arrival = read_maps(maps, share, self.cells)
            return self.encode(steps, speed_of(arrival, share))

    def encode(self, steps: Float[Tensor, "B T 2 P P"], speed: Float[Tensor, " B"]) -> Encoded:
        """Latent vectors of what was read off the maps: voltage steps, and the front's speed."""
        diffusivity = (speed.square() / self.typical_square)[:, None, None]
        features = dipole_features(steps, diffusivity)
        return Encoded(self.dropout(self.weigh(features)), diffusivity)


def dipole_features(
    steps: Float[Tensor, "B T 2 P P"], diffusivity: Float[Tensor, "B 1 1"]
) -> Float[Tensor, "B T F"]:
    """Voltage steps across each cell, the same times what stands in for D, and its logarithm."""
    voltages = steps.flatten(2) / TYPICAL_STEP
    logarithm = diffusivity.log().expand(-1, steps.shape[1], 1)
    return torch.cat([voltages, diffusivity * voltages, logarithm], dim=2)
