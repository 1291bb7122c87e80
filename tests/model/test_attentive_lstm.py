"""The compiled recurrence equals the torch operations in value and gradient."""

import pytest
import torch

from fwdecg.model.decoder import EcgDecoder


def _decoder(size: int, *, times: int = 4) -> EcgDecoder:
    torch.manual_seed(0)
    return EcgDecoder(
        latent_size=6,
        hidden_size=size,
        time_embedding_size=times,
        readout_size=3,
        electrodes=2,
    )


@pytest.mark.parametrize(
    ("size", "frames", "times"), [(1, 2, 4), (5, 1, 4), (5, 40, 0), (32, 40, 4)]
)
def test_states_equal_torch(size: int, frames: int, times: int) -> None:
    decoder = _decoder(size, times=times)
    latents = 2 * torch.randn(3, frames, 6)
    with torch.no_grad():
        ours = decoder._states(latents)
        torchs = torch.stack(decoder.double()._torch_steps(latents.double())[0], dim=1)
    # The error of tanh is at most 1e-6, and an LSTM forgets earlier errors.
    torch.testing.assert_close(ours.double(), torchs, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("frames", "threads"), [(1, 1), (2, 2), (40, 1), (40, 2)])
def test_gradients_equal_torch(frames: int, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        decoder = _decoder(5)
        latents = (2 * torch.randn(3, frames, 6)).requires_grad_()
        weight = torch.randn(3, frames, 5)
        inputs = [latents, *decoder.attention.parameters(), *decoder.cell.parameters()]
        ours = torch.autograd.grad((decoder._states(latents) * weight).sum(), inputs)
        decoder.double()
        exact = latents.detach().double().requires_grad_()
        states = torch.stack(decoder._torch_steps(exact)[0], dim=1)
        inputs = [exact, *decoder.attention.parameters(), *decoder.cell.parameters()]
        torchs = torch.autograd.grad((states * weight).sum(), inputs)
    finally:
        torch.set_num_threads(before)
    for mine, theirs in zip(ours, torchs, strict=True):
        # Up to 120 terms of order 1, each with an error of about 1e-6.
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-5, atol=2e-5)


def test_a_saturated_attention_and_gates_stay_finite() -> None:
    decoder = _decoder(5)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(100)
    latents = (100 * torch.randn(2, 8, 6)).requires_grad_()
    states = decoder._states(latents)
    states.sum().backward()
    assert states.abs().max() <= 1
    assert latents.grad is not None
    assert latents.grad.isfinite().all()


def test_a_nan_latent_gives_nan_states() -> None:
    latents = torch.zeros(2, 4, 6)
    latents[1, 2, 3] = torch.nan
    states = _decoder(5)._states(latents)
    assert states[1, 2:].isnan().any()
    assert states[0].isfinite().all()
