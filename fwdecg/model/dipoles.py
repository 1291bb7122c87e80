"""Encoder that estimates the current dipoles of Eq. 1 from voltage maps.

Axes: B batch, T frame, H row, W column, P row or column of a coarse grid of cells, F feature,
L latent.

Integration by parts turns Eq. 1 into minus the sum of D grad u . grad(1/r). Excited tissue is thus
a sheet of dipoles D grad u, and far from an electrode grad(1/r) is nearly constant within a cell of
the coarse grid. D is estimated by the squared speed of the front, to which it is proportional.
`map_features` computes that speed and grad u from the maps.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fwdecg.model.encoder import Encoded, ScalingEncoder, without_autocast
from fwdecg.model.map_features import (
    conducting_fraction,
    front_speed_from_arrival,
    wavefront_features,
)

TYPICAL_STEP = 0.3  # change of the voltage across a cell that contains a front


class DipoleEncoder(ScalingEncoder):
    """Linear layer over the dipoles of all cells."""

    def __init__(self, *, cells: int, latent_size: int, dropout: float) -> None:
        """Initialise from torch's global generator, which also draws the dropout masks.

        Args:
            cells: side P of the coarse grid that maps of any size are divided into.
            latent_size: size L of a latent vector.
            dropout: fraction of the latents' entries dropped in training, in [0, 1).
        """
        super().__init__()
        self.cells = cells
        self.latent_size = latent_size
        self.weigh = nn.Linear(4 * cells**2 + 1, latent_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, u: Float[Tensor, "B T H W"]) -> Encoded:
        """Return the latent vectors of dimensionless maps with at least 4 rows and columns."""
        # Differences of neighbouring pixels are small and need the full precision of the maps.
        with without_autocast(u):
            maps = u.to(self.weigh.weight.dtype)
            fraction = conducting_fraction(maps)
            steps, arrival = wavefront_features(maps, fraction, self.cells)
            return self.encode(steps, front_speed_from_arrival(arrival, fraction))

    def encode(self, steps: Float[Tensor, "B T 2 P P"], speed: Float[Tensor, " B"]) -> Encoded:
        """Return the latent vectors for voltage steps and front speeds from `map_features`."""
        diffusivity = self.relative_diffusivity(speed)
        features = dipole_features(steps, diffusivity)
        return Encoded(self.dropout(self.weigh(features)), diffusivity)


def dipole_features(
    steps: Float[Tensor, "B T 2 P P"], diffusivity: Float[Tensor, "B 1 1"]
) -> Float[Tensor, "B T F"]:
    """Return the voltage steps of all cells, their products with D, and the logarithm of D.

    Args:
        steps: voltage steps across each cell, to the right and down.
        diffusivity: estimate of D, relative to a typical value.
    """
    voltages = steps.flatten(2) / TYPICAL_STEP
    logarithm = diffusivity.log().expand(-1, steps.shape[1], 1)
    return torch.cat([voltages, diffusivity * voltages, logarithm], dim=2)
