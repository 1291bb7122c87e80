"""The decoder against a twin that follows the paper step by step, nothing taken out of the loop."""

import pytest
import torch
from torch import Tensor

from fwdecg.model.decoder import EcgDecoder
from fwdecg.model.time_embedding import sinusoidal_embedding


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


def _twin(decoder: EcgDecoder, latents: Tensor) -> Tensor:
    """Attention, LSTM cell and read-out of each frame in turn."""
    batch, frames, _ = latents.shape
    times = sinusoidal_embedding(frames, decoder.time_embedding_size, like=latents)
    state = memory = torch.zeros(batch, decoder.cell.hidden_size, dtype=latents.dtype)
    prediction = torch.zeros(batch, decoder.last_readout.out_features, dtype=latents.dtype)
    predictions = []
    for t in range(frames):
        context, _ = decoder.attention(state, decoder.attention.keys(latents, times), latents)
        inputs = torch.cat((context, latents[:, t], times[t].expand(batch, -1)), dim=1)
        state, memory = decoder.cell(inputs, (state, memory))
        hidden = torch.relu(decoder.first_readout(torch.cat((state, prediction), dim=1)))
        prediction = decoder.last_readout(hidden)
        predictions.append(prediction)
    return torch.stack(predictions, dim=1)


@pytest.mark.parametrize("electrodes", [1, 3])
@pytest.mark.parametrize("frames", [1, 12])
@pytest.mark.parametrize("parts", [{}, {"attention": False}, {"times": 0}])
def test_equals_the_plain_twin_in_value_and_gradient(
    electrodes: int, frames: int, parts: dict[str, int]
) -> None:
    decoder = _decoder(electrodes, **parts).double()
    latents = torch.randn(2, frames, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, frames, electrodes, dtype=torch.float64)
    inputs = [latents, *decoder.parameters()]
    ours, plain = decoder(latents), _twin(decoder, latents)
    # Rounding of float64 alone: 1e-16 a step over some hundred sums.
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-12)
    gradients = (torch.autograd.grad((y * weight).sum(), inputs) for y in (ours, plain))
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-12)


def test_the_prediction_is_fed_back() -> None:
    decoder, latents = _decoder(1), torch.randn(1, 4, 6)
    fed = decoder(latents)
    with torch.no_grad():
        decoder.first_readout.weight[:, -1] = 0.0
    cut = decoder(latents)
    assert torch.equal(fed[:, 0], cut[:, 0])  # the feedback starts at zero
    assert not torch.equal(fed[:, 1:], cut[:, 1:])


def test_every_latent_reaches_the_first_prediction_through_attention() -> None:
    decoder = _decoder(1)
    latents = torch.randn(1, 4, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(decoder(latents)[0, 0, 0], latents)
    assert (gradient.abs().sum(-1) > 0).all()


def test_without_attention_no_prediction_sees_a_later_frame() -> None:
    decoder = _decoder(1, attention=False)
    latents = torch.randn(1, 4, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(decoder(latents)[0, 1, 0], latents)
    assert (gradient[0].abs().sum(-1) > 0).tolist() == [True, True, False, False]


def test_without_time_embedding_later_frames_may_change_places() -> None:
    latents = torch.randn(1, 4, 6)
    swapped = latents[:, [0, 1, 3, 2]]
    timeless, timed = _decoder(1, times=0), _decoder(1)
    torch.testing.assert_close(timeless(latents)[:, :2], timeless(swapped)[:, :2])
    assert not torch.allclose(timed(latents)[:, :2], timed(swapped)[:, :2], rtol=1e-6, atol=0)


def test_the_attention_weights_are_those_that_the_context_is_made_with() -> None:
    """Each row is a distribution over the frames, and with the latents it gives Eq. 3's c_t."""
    decoder, latents = _decoder(1), torch.randn(2, 7, 6)
    weights = decoder.attention_weights(latents)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 7))
    times = sinusoidal_embedding(7, 4, like=latents)
    rest = torch.zeros(2, 5)  # the state before the first frame
    context, first = decoder.attention(rest, decoder.attention.keys(latents, times), latents)
    torch.testing.assert_close(weights[:, 0], first)
    torch.testing.assert_close(torch.einsum("bi,bil->bl", weights[:, 0], latents), context)
    assert (weights[:, 1] != weights[:, 0]).any()


def test_attention_sees_a_frame_that_answers_every_state() -> None:
    """A key that is far out in the direction of V_a draws all weight to its frame."""
    decoder, latents = _decoder(1), torch.randn(1, 7, 6)
    with torch.no_grad():
        decoder.attention.V_a.weight.fill_(100.0)
        decoder.attention.U_a.weight.fill_(1.0)
        latents[:, 4] = 50.0
        latents[:, [0, 1, 2, 3, 5, 6]] = -50.0
    weights = decoder.attention_weights(latents)
    assert (weights.argmax(-1) == 4).all()
    torch.testing.assert_close(weights[..., 4], torch.ones(1, 7))


def test_without_attention_nothing_is_looked_at() -> None:
    assert not _decoder(1, attention=False).attention_weights(torch.randn(2, 7, 6)).any()
