"""The surrogate as one would first write it: frame by frame, with nothing taken out of the loop.

Axes: B batch, T frame, H row, W column, E electrode.
"""

from copy import deepcopy

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from fwdecg.model import Surrogate
from fwdecg.model.dipoles import DipoleEncoder
from fwdecg.model.encoded import Encoded
from fwdecg.model.encoder import FrameEncoder
from fwdecg.model.map_features import (
    conducting_share,
    conducting_voltage,
    front_arrival,
    speed_of,
    voltage_steps,
)
from fwdecg.model.time_embedding import sinusoidal_embedding


def _as_printed(block: nn.Module) -> nn.Sequential:
    """A block in the paper's order, ReLU before pooling, and in torch's usual order in memory."""
    convolution, norm, dropout = block.children()
    assert isinstance(norm, nn.BatchNorm2d)
    convert_conv2d_weight_memory_format(convolution, torch.contiguous_format)
    normalisation = nn.BatchNorm2d(norm.num_features)
    normalisation.load_state_dict(norm.state_dict())
    normalisation.train(norm.training)
    return nn.Sequential(convolution, normalisation, nn.ReLU(), nn.MaxPool2d(2), dropout)


def _dipoles(encoder: DipoleEncoder, u: Float[Tensor, "B T H W"]) -> Encoded:
    maps = u.float()
    share = conducting_share(maps)
    voltage = conducting_voltage(maps, share)
    frames = voltage.split(1, dim=1)
    steps = torch.cat([voltage_steps(frame, share, encoder.cells) for frame in frames], dim=1)
    return encoder.encode(steps, speed_of(front_arrival(voltage), share))


class StepByStep(nn.Module):
    """The same network; in evaluation it predicts the same.

    In training its batch statistics are those of one frame number at a time.
    """

    def __init__(self, surrogate: Surrogate) -> None:
        """Copy the parameters of `surrogate`."""
        super().__init__()
        self.surrogate = deepcopy(surrogate)
        encoder = self.surrogate.encoder
        if isinstance(encoder, FrameEncoder):
            encoder.blocks = nn.Sequential(*(_as_printed(block) for block in encoder.blocks))

    def forward(self, u: Float[Tensor, "B T H W"]) -> Float[Tensor, "B T E"]:
        """Standardised ECG of dimensionless voltage maps."""
        decoder = self.surrogate.decoder
        latents, amplitude = self._encode(u)
        times = sinusoidal_embedding(u.shape[1], decoder.time_embedding_size, like=latents)
        state = memory = latents.new_zeros(len(u), decoder.cell.hidden_size)
        prediction = latents.new_zeros(len(u), decoder.last_readout.out_features)
        predictions = []
        for t in range(u.shape[1]):
            keys = decoder.attention.keys(latents, times)
            context, _ = decoder.attention(state, keys, latents)
            inputs = torch.cat((context, latents[:, t], times[t].expand(len(u), -1)), dim=1)
            state, memory = decoder.cell(inputs, (state, memory))
            hidden = torch.relu(decoder.first_readout(torch.cat((state, prediction), dim=1)))
            prediction = decoder.last_readout(hidden)
            predictions.append(prediction)
        return torch.stack(predictions, dim=1) * amplitude

    def _encode(self, u: Float[Tensor, "B T H W"]) -> Encoded:
        encoder = self.surrogate.encoder
        if isinstance(encoder, DipoleEncoder):
            return _dipoles(encoder, u)
        if not isinstance(encoder, FrameEncoder):
            return encoder(u)
        seen = encoder.seen(u)
        frames = [seen[:, t].movedim(-1, 1) for t in range(u.shape[1])]
        latents = [encoder.summarise(encoder.blocks(one)) for one in frames]
        return Encoded(torch.stack(latents, dim=1))
