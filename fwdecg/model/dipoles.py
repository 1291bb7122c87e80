"""The current dipoles of Eq. 1, as far as voltage maps tell them.

Axes: B batch, T frame, H row, W column, P row or column of a coarse grid of cells, F feature,
L latent.

Eq. 1 is minus the sum of D grad u . grad(1/r): seen from afar an excited sheet is one of dipoles
D grad u, and grad(1/r) hardly changes within a cell of the coarse grid. What maps do not show is D
and the share of a pixel that conducts. Both can be read off them: patches stay at rest, so the peak
of a pixel's voltage over time is the share that conducts, and a front runs at a speed proportional
to sqrt(D), the square of which stands in for D.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from fwdecg.model.encoded import Encoded

LEAST_SHARE = 0.15  # of a pixel; with less its voltage is mostly rounding
FULL_SHARE = 0.9  # beside patches a front bends and slows down
FRONT = 0.5  # the voltage at which a front has arrived
FRAMES_PER_WIDTH = 32  # speeds are in widths of the map per so many frames, to be near 1
SLOWEST, FASTEST = 0.02, 10.0  # of the speeds that are told apart
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
        maps = u.to(self.typical_square.dtype)
        share = conducting_share(maps)
        squares = front_speed(conducting_voltage(maps, share), share).square()
        self.typical_square.copy_(squares.log().mean().exp())

    def forward(self, u: Float[Tensor, "B T H W"]) -> Encoded:
        """Latent vectors l_t of dimensionless maps with at least 4 rows and columns."""
        # Neighbours differ little: the differences need the precision that the maps have.
        with torch.autocast(u.device.type, enabled=False):
            features, diffusivity = dipole_features(
                u.to(self.weigh.weight.dtype), self.cells, self.typical_square
            )
            return Encoded(self.dropout(self.weigh(features)), diffusivity)


def dipole_features(
    u: Float[Tensor, "B T H W"], cells: int, typical_square: Float[Tensor, ""]
) -> tuple[Float[Tensor, "B T F"], Float[Tensor, "B 1 1"]]:
    """What is read off maps, and what stands in for D: a front's squared speed over a typical one.

    The features are the voltage steps across each cell, the same times what stands in for D, and
    its logarithm.
    """
    share = conducting_share(u)
    voltage = conducting_voltage(u, share)
    steps = voltage_steps(voltage, share, cells).flatten(2) / TYPICAL_STEP
    diffusivity = (front_speed(voltage, share).square() / typical_square)[:, None, None]
    logarithm = diffusivity.log().expand(-1, u.shape[1], 1)
    return torch.cat([steps, diffusivity * steps, logarithm], dim=2), diffusivity


def conducting_share(u: Float[Tensor, "B T H W"]) -> Float[Tensor, "B H W"]:
    """Share of each pixel that conducts, by its peak over time; 0 where it is too small to tell."""
    peak = u.amax(1).clamp_max(1.0)
    return torch.where(peak > LEAST_SHARE, peak, 0.0)


def conducting_voltage(
    u: Float[Tensor, "B T H W"], share: Float[Tensor, "B H W"]
) -> Float[Tensor, "B T H W"]:
    """Voltage of what conducts in each pixel: a map's area mean counts patches as u = 0."""
    inverse = torch.where(share > 0, 1.0 / share.clamp_min(LEAST_SHARE), 0.0)
    return u * inverse.unsqueeze(1)


def voltage_steps(
    voltage: Float[Tensor, "B T H W"], share: Float[Tensor, "B H W"], cells: int
) -> Float[Tensor, "B T 2 P P"]:
    """Mean gradient in each cell times the cell's side: to the right, and down; P = `cells`.

    No current passes from a conducting pixel to a patch, so the step between two pixels counts by
    the harmonic mean of their shares.
    """
    right = _steps_between(voltage, share, cells)
    down = _steps_between(voltage.mT, share.mT, cells).mT
    return torch.stack([right, down], dim=2)


def _steps_between(
    voltage: Float[Tensor, "B T H W"], share: Float[Tensor, "B H W"], cells: int
) -> Float[Tensor, "B T P P"]:
    """`voltage_steps` along the last axis."""
    near, far = share[..., :-1], share[..., 1:]
    passing = 2.0 * near * far / (near + far).clamp_min(LEAST_SHARE)
    across = voltage.diff(dim=3) * passing.unsqueeze(1)
    rows, columns = voltage.shape[2:]
    # Half of the step between two pixels lies in each of them.
    between = _cell_means(columns, cells, like=voltage).unfold(1, 2, 1).mean(2) * (columns / cells)
    return _cell_means(rows, cells, like=voltage) @ (across @ between.T)


def _cell_means(size: int, cells: int, *, like: Tensor) -> Float[Tensor, "P size"]:
    """The matrix by which a mean over cells is taken along an axis."""
    identity = torch.eye(size, dtype=like.dtype, device=like.device)
    return functional.adaptive_avg_pool1d(identity, cells).T


@torch.no_grad()  # the slope of a median of lengths is not everywhere finite
def front_speed(
    voltage: Float[Tensor, "B T H W"], share: Float[Tensor, "B H W"]
) -> Float[Tensor, " B"]:
    """Median speed of the first front in conducting tissue, in map widths per 32 frames.

    Between `SLOWEST`, which is also what maps without any front have, and `FASTEST`.
    """
    arrival, seen = _arrival(voltage)
    seen = seen & (share > FULL_SHARE)
    right = (arrival[:, 1:-1, 2:] - arrival[:, 1:-1, :-2]) / 2
    down = (arrival[:, 2:, 1:-1] - arrival[:, :-2, 1:-1]) / 2
    width = voltage.shape[3]
    frames_per_width = (right.square() + down.square()).sqrt() * width
    whole = (
        seen[:, 1:-1, 1:-1]
        & (seen[:, 1:-1, 2:] & seen[:, 1:-1, :-2])
        & (seen[:, 2:, 1:-1] & seen[:, :-2, 1:-1])
    )
    median = _median(frames_per_width.flatten(1), whole.flatten(1))
    return (FRAMES_PER_WIDTH / median).clamp(SLOWEST, FASTEST)


def _arrival(
    voltage: Float[Tensor, "B T H W"],
) -> tuple[Float[Tensor, "B H W"], Bool[Tensor, "B H W"]]:
    """Frame, between two by a straight line, at which a front first arrives, and where one does.

    Where the first frame is above it already, it is not known since when.
    """
    above = voltage > FRONT
    after = above.to(torch.uint8).argmax(1, keepdim=True)
    before = (after - 1).clamp_min(0)
    low, high = voltage.gather(1, before), voltage.gather(1, after)
    fraction = (FRONT - low) / (high - low).clamp_min(1e-6)
    return (before + fraction).squeeze(1), (after > 0).squeeze(1)


def _median(values: Float[Tensor, "B N"], chosen: Bool[Tensor, "B N"]) -> Float[Tensor, " B"]:
    """The lower median of the chosen values of each row, infinity where there is none."""
    ordered = torch.where(chosen, values, torch.inf).sort(dim=1).values
    middle = ((chosen.sum(1, keepdim=True) - 1) // 2).clamp_min(0)
    return ordered.gather(1, middle).squeeze(1)
