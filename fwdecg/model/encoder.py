"""Encoders that turn each voltage map into one latent vector: a CNN, and the mean voltage.

Axes: B batch, T frame, H row, W column, L latent, N = B x T map of all cases, C channel, h row and
w column after pooling.
"""

from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import convert_conv2d_weight_memory_format

from fwdecg.model.batch_norm import FrameBatchNorm
from fwdecg.model.map_features import front_speed
from fwdecg.model.standardise import ZScore
from fwdecg.model.surrogate_config import AVERAGE, SurrogateConfig

SMALLEST_SIDE = 4  # rows or columns of a map: one must remain after two poolings by 2
FRAMES_PER_BATCH = 32  # in evaluation on a CPU, so that activations of 64 x 64 maps stay in cache


class Encoded(NamedTuple):
    """Output of an encoder: latent vectors, and the factor that scales the decoder's output."""

    latents: Float[Tensor, "B T L"]
    amplitude: Float[Tensor, "B 1 1"] | float = 1.0


def without_autocast(like: Tensor) -> AbstractContextManager[None]:
    """Return a context that disables autocast on the device of a tensor.

    It does nothing where autocast is already off, so that exported programs do not contain it.
    """
    device = like.device.type
    if not torch.is_autocast_enabled(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)


class ScalingEncoder(nn.Module):
    """Encoder that estimates D, relative to a typical value, as the amplitude of the ECG.

    Eq. 1 is linear in D, and the squared speed of the front is proportional to D. Slow tissue has a
    small ECG; with this scaling, its error is small as well.
    """

    typical_square: Tensor

    def __init__(self) -> None:
        """Start with a typical speed of 1."""
        super().__init__()
        self.register_buffer("typical_square", torch.tensor(1.0))

    def fit_typical_speed(self, u: Float[Tensor, "B T H W"]) -> None:
        """Set the unit of squared speeds to their geometric mean over the given maps.

        Training is fastest with amplitudes near 1.
        """
        squares = front_speed(u.to(self.typical_square.dtype)).square()
        self.typical_square.copy_(squares.log().mean().exp())

    def relative_diffusivity(self, speed: Float[Tensor, " B"]) -> Float[Tensor, "B 1 1"]:
        """Return the estimate of D for front speeds from `map_features`."""
        return (speed.square() / self.typical_square)[:, None, None]


class MeanVoltage(nn.Module):
    """Encoder without weights: the latent is the mean voltage of a map."""

    latent_size = 1

    def __init__(self, u_score: ZScore) -> None:
        """Keep the z-score of the maps."""
        super().__init__()
        self.u_score = u_score

    def forward(self, u: Float[Tensor, "B T H W"]) -> Encoded:
        """Return the z-score of each map's mean."""
        mean = u.mean((2, 3), dtype=self.u_score.mean.dtype)
        return Encoded(self.u_score(mean).unsqueeze(-1))


class FrameEncoder(ScalingEncoder):
    """Two convolution blocks, adaptive average pooling and a linear layer, applied to each map."""

    def __init__(self, u_score: ZScore, config: SurrogateConfig) -> None:
        """Initialise from torch's global generator, which also draws the dropout masks.

        Args:
            u_score: z-score of the maps.
            config: sizes of the encoder; the latent has the hidden size.
        """
        super().__init__()
        self.u_score = u_score
        self.changes, self.scaled = config.changes, config.scaled
        self.latent_size = config.hidden_size
        inputs, (first, second) = 3 if config.changes else 1, config.channels
        self.blocks = nn.Sequential(
            _block(inputs, first, config.pooling, config.dropout),
            _block(first, second, config.pooling, config.dropout),
        )
        self.summarise = nn.Sequential(
            nn.AdaptiveAvgPool2d(config.pooled_size),
            nn.Flatten(),
            nn.Linear(second * config.pooled_size**2, config.hidden_size),
        )
        # Activations take the memory format of the weights. Normalisation and pooling are several
        # times faster with the channels last.
        convert_conv2d_weight_memory_format(self.blocks, torch.channels_last)

    def forward(self, u: Float[Tensor, "B T H W"]) -> Encoded:
        """Return the latent vectors of dimensionless maps with at least 4 rows and columns."""
        return Encoded(self.encode(self.network_input(u)), self.amplitude(u))

    def amplitude(self, u: Float[Tensor, "B T H W"]) -> Float[Tensor, "B 1 1"] | float:
        """Return the estimate of D that scales the ECG; 1 if the ECG is not scaled."""
        if not self.scaled:
            return 1.0
        with without_autocast(u):
            return self.relative_diffusivity(front_speed(u.to(self.typical_square.dtype)))

    def network_input(self, u: Float[Tensor, "B T H W"]) -> Float[Tensor, "B T H W C"]:
        """Return the channels that the convolutions receive for each frame."""
        maps = self.u_score(u)
        return with_changes(maps) if self.changes else maps.unsqueeze(-1)

    def encode(self, maps: Float[Tensor, "B T H W C"]) -> Float[Tensor, "B T L"]:
        """Return the latent vectors of the network input."""
        frames = maps.flatten(0, 1).movedim(-1, 1)
        # An exported program accepts any number of cases, so it cannot fix the number of batches.
        whole = self.training or frames.device.type != "cpu" or torch.compiler.is_exporting()
        batches = (frames,) if whole else frames.split(FRAMES_PER_BATCH)
        latents = torch.cat([self._summarise(self.blocks(batch)) for batch in batches])
        return latents.unflatten(0, maps.shape[:2])

    def _summarise(self, activations: Float[Tensor, "N C h w"]) -> Float[Tensor, "N L"]:
        """Apply `summarise`, but reorder its weights instead of the channels-last activations."""
        pool, linear = self.summarise[0], self.summarise[-1]
        assert isinstance(linear, nn.Linear)
        pooled = pool(activations).permute(0, 2, 3, 1)
        rows, columns, _ = pooled.shape[1:]
        weight = linear.weight.unflatten(1, (-1, rows, columns)).permute(0, 2, 3, 1)
        return functional.linear(pooled.flatten(1), weight.flatten(1), linear.bias)


def with_changes(maps: Float[Tensor, "B T H W"]) -> Float[Tensor, "B T H W 3"]:
    """Return each map, its change from the previous frame, and the change to the next one.

    Changes beyond the first and the last frame are 0. The contribution of a front to Eq. 1 depends
    on how fast u rises and falls, which a single map does not show.
    """
    # Take the differences before rounding to the precision of the convolution.
    device = maps.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else maps.dtype
    channels = maps.new_zeros((*maps.shape, 3), dtype=dtype)
    change = maps.diff(dim=1)
    channels[..., 0] = maps
    channels[:, 1:, ..., 1] = change
    channels[:, :-1, ..., 2] = change
    return channels


class PooledConvolution(nn.Conv2d):
    """3 x 3 convolution followed by 2 x 2 average pooling, as one 4 x 4 convolution of stride 2.

    Both are linear, so the kernel can be averaged instead of the output. That needs fewer than half
    of the operations, and no activations of full size.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        """Initialise the kernel as torch does for a convolution without pooling."""
        super().__init__(inputs, outputs, kernel_size=3, padding=1, bias=False)

    def forward(self, input: Float[Tensor, "N K H W"]) -> Float[Tensor, "N C h w"]:
        """Return the pooled convolution; an odd last row or column is left out, as in pooling."""
        shifts = [functional.pad(self.weight, (x, 1 - x, y, 1 - y)) for y in (0, 1) for x in (0, 1)]
        kernel = torch.stack(shifts).mean(0).contiguous(memory_format=torch.channels_last)
        return functional.conv2d(input, kernel, stride=2, padding=1)


def _block(inputs: int, outputs: int, pooling: str, dropout: float) -> nn.Sequential:
    """Return a block of the encoder. The names of its parts are those in checkpoints."""
    # The convolution has no bias because the normalisation would subtract it again.
    if pooling == AVERAGE:
        parts = {"convolution": PooledConvolution(inputs, outputs), "norm": FrameBatchNorm(outputs)}
    else:
        convolution = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False)
        parts = {
            "convolution": convolution,
            "norm": FrameBatchNorm(outputs),
            "pool": nn.MaxPool2d(2),
        }
    return nn.Sequential(OrderedDict(parts, rectify=nn.ReLU(), dropout=nn.Dropout(dropout)))
