"""The convolutional encoder: one latent vector per voltage map.

Axes: B batch, T frame, H row, W column, L latent; within, N = B x T frames, C channel.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import convert_conv2d_weight_memory_format

from fwdecg.model.encoded import Encoded
from fwdecg.model.pooled_norm import PooledNorm
from fwdecg.model.standardise import Standardise

SMALLEST_SIDE = 4  # rows or columns of a map: two poolings by 2 must leave one
FRAMES_AT_ONCE = 32  # in evaluation on a CPU, so that activations of 64 x 64 maps stay in cache


class FrameEncoder(nn.Module):
    """Two convolution blocks, adaptive average pooling, flattening and a linear layer."""

    def __init__(
        self,
        u_score: Standardise,
        *,
        channels: tuple[int, int],
        pooled_size: int,
        latent_size: int,
        dropout: float,
        changes: bool,
    ) -> None:
        """Initialise from torch's global generator, which also draws the dropout masks.

        Args:
            u_score: z-score of the maps.
            channels: of the first and the second block.
            pooled_size: side of the grid that every map is pooled to, whatever its size.
            latent_size: L.
            dropout: share of the activations dropped after each block in training, in [0, 1).
            changes: whether the changes from and to the neighbouring frames are seen too.
        """
        super().__init__()
        self.u_score = u_score
        self.changes = changes
        self.latent_size = latent_size
        first, second = channels
        self.blocks = nn.Sequential(
            _block(3 if changes else 1, first, dropout), _block(first, second, dropout)
        )
        self.summarise = nn.Sequential(
            nn.AdaptiveAvgPool2d(pooled_size),
            nn.Flatten(),
            nn.Linear(second * pooled_size**2, latent_size),
        )
        # Activations follow the weights' order in memory; pooling is several times faster in this.
        convert_conv2d_weight_memory_format(self.blocks, torch.channels_last)

    def forward(self, u: Float[Tensor, "B T H W"]) -> Encoded:
        """Latent vectors l_t of dimensionless maps with at least 4 rows and columns."""
        return Encoded(self.encode(self.seen(u)))

    def seen(self, u: Float[Tensor, "B T H W"]) -> Float[Tensor, "B T H W C"]:
        """What the convolutions are shown of each frame."""
        maps = self.u_score(u)
        return with_changes(maps) if self.changes else maps.unsqueeze(-1)

    def encode(self, seen: Float[Tensor, "B T H W C"]) -> Float[Tensor, "B T L"]:
        """Latent vectors of what is seen of the frames."""
        frames = seen.flatten(0, 1).movedim(-1, 1)
        # An exported program takes any number of cases: it cannot know how many parts to make.
        whole = self.training or frames.device.type != "cpu" or torch.compiler.is_exporting()
        parts = (frames,) if whole else frames.split(FRAMES_AT_ONCE)
        latents = torch.cat([self._summary(self.blocks(part)) for part in parts])
        return latents.unflatten(0, seen.shape[:2])

    def _summary(self, activations: Float[Tensor, "N C h w"]) -> Float[Tensor, "N L"]:
        """`summarise` of activations, which lie channels last: the weights follow them."""
        pool, linear = self.summarise[0], self.summarise[-1]
        assert isinstance(linear, nn.Linear)
        pooled = pool(activations).permute(0, 2, 3, 1)
        rows, columns, _ = pooled.shape[1:]
        weight = linear.weight.unflatten(1, (-1, rows, columns)).permute(0, 2, 3, 1)
        return functional.linear(pooled.flatten(1), weight.flatten(1), linear.bias)


def with_changes(maps: Float[Tensor, "B T H W"]) -> Float[Tensor, "B T H W 3"]:
    """Each map, its change since the frame before, and that to the next; 0 where there is none.

    What a front gives to Eq. 1 follows from how fast u rises and falls, which one map cannot tell.
    """
    # In the precision of the convolution, but the differences are taken before they are rounded.
    device = maps.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else maps.dtype
    seen = maps.new_zeros((*maps.shape, 3), dtype=dtype)
    change = maps.diff(dim=1)
    seen[..., 0] = maps
    seen[:, 1:, ..., 1] = change
    seen[:, :-1, ..., 2] = change
    return seen


def _block(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    # The convolution needs no bias, for the normalisation subtracts it again.
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False),
        PooledNorm(outputs),
        nn.Dropout(dropout),
    )
