"""The decoder equals a reference that follows the paper step by step."""

import pytest
import torch
from torch import Tensor

from fwdecg.model.attention import sinusoidal_embedding
from fwdecg.model.decoder import EcgDecoder


def _decoder(electrodes: int, *, attention: bool = True, times: int = 4) -> EcgDecoder:
    torch.manual_seed(0)
    return EcgDecoder(
        latent_size=6,
        hidden_size=5,
        time_embedding_size=times,
        readout_size=3,
        electrodes=electrodes,
        attention=attention,
    )


def _reference(decoder: EcgDecoder, latents: Tensor) -> Tensor:
    """Apply attention, LSTM cell and read-out to one frame after the other."""
    batch, frames, _ = latents.shape
    times = sinusoidal_embedding(frames, decoder.time_embedding_size, like=latents)
    state = cell_state = torch.zeros(batch, decoder.cell.hidden_size, dtype=latents.dtype)
    prediction = torch.zeros(batch, decoder.last_readout.out_features, dtype=latents.dtype)
    predictions = []
    for t in range(frames):
        context, _ = decoder.attention(state, decoder.attention.keys(latents, times), latents)
        inputs = torch.cat((context, latents[:, t], times[t].expand(batch, -1)), dim=1)
        state, cell_state = decoder.cell(inputs, (state, cell_state))
        hidden = torch.relu(decoder.first_readout(torch.cat((state, prediction), dim=1)))
        prediction = decoder.last_readout(hidden)
        predictions.append(prediction)
    return torch.stack(predictions, dim=1)


@pytest.mark.parametrize(
    ("electrodes", "frames", "parts"),
    [(1, 1, {}), (3, 12, {}), (3, 12, {"attention": False}), (3, 12, {"times": 0})],
)
def test_equals_the_reference_in_value_and_gradient(
    electrodes: int, frames: int, parts: dict[str, int]
) -> None:
    decoder = _decoder(electrodes, **parts).double()
    latents = torch.randn(2, frames, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, frames, electrodes, dtype=torch.float64)
    inputs = [latents, *decoder.parameters()]
    ours, reference = decoder(latents), _reference(decoder, latents)
    # Only float64 rounding: 1e-16 per step over some hundred sums.
    torch.testing.assert_close(ours, reference, rtol=1e-12, atol=1e-12)
    gradients = (torch.autograd.grad((y * weight).sum(), inputs) for y in (ours, reference))
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-12)


def test_the_attention_weights_give_the_context() -> None:
    """Each row sums to 1, and the weighted sum of the latents is c_t of Eq. 3."""
    decoder, latents = _decoder(1), torch.randn(2, 7, 6)
    weights = decoder.attention_weights(latents)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 7))
    times = sinusoidal_embedding(7, 4, like=latents)
    initial = torch.zeros(2, 5)  # state before the first frame
    context, first = decoder.attention(initial, decoder.attention.keys(latents, times), latents)
    torch.testing.assert_close(weights[:, 0], first)
    torch.testing.assert_close(torch.einsum("bi,bil->bl", weights[:, 0], latents), context)
    assert (weights[:, 1] != weights[:, 0]).any()
