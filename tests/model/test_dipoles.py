"""Features, units and precision of the dipole encoder."""

from collections.abc import Callable

import torch
from torch import Tensor

from fwdecg.model.dipoles import TYPICAL_STEP, DipoleEncoder, dipole_features
from fwdecg.model.map_features import FRAMES_PER_WIDTH

SIDE, CELLS = 16, 4


def test_features_are_voltages_currents_and_the_logarithm_of_diffusivity() -> None:
    steps, diffusivity = torch.rand(2, 3, 2, 4, 4), torch.tensor([0.5, 3.0]).reshape(2, 1, 1)
    voltages, currents, logarithm = dipole_features(steps, diffusivity).split([32, 32, 1], dim=2)
    torch.testing.assert_close(voltages, steps.flatten(2) / TYPICAL_STEP)
    torch.testing.assert_close(currents, diffusivity * voltages)
    torch.testing.assert_close(logarithm, diffusivity.log().expand(2, 3, 1))


def test_the_amplitude_is_the_squared_speed(
    straight_front: Callable[..., Tensor],
) -> None:
    encoded = DipoleEncoder(cells=CELLS, latent_size=3, dropout=0.0)(straight_front(0.05, 60, SIDE))
    expected = torch.full((1, 1, 1), (FRAMES_PER_WIDTH * 0.05) ** 2)
    torch.testing.assert_close(encoded.amplitude, expected)


def test_after_fitting_the_typical_amplitude_is_one(
    straight_front: Callable[..., Tensor],
) -> None:
    encoder = DipoleEncoder(cells=CELLS, latent_size=3, dropout=0.0)
    slow, fast = (straight_front(speed, 100, SIDE) for speed in (0.02, 0.08))
    encoder.fit_typical_speed(torch.cat([slow, fast]).half())
    for u, expected in ((slow, 0.25), (fast, 4.0)):
        torch.testing.assert_close(
            encoder(u).amplitude, torch.full((1, 1, 1), expected), rtol=1e-2, atol=0
        )


def test_autocast_does_not_round_the_dipoles() -> None:
    torch.manual_seed(0)
    encoder = DipoleEncoder(cells=2, latent_size=3, dropout=0.0)
    u = torch.rand(1, 5, 8, 8)
    plain = encoder(u).latents
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(encoder(u).latents, plain)


def test_gradients_with_respect_to_the_maps_are_finite(
    straight_front: Callable[..., Tensor],
) -> None:
    u = straight_front(0.05, 30, SIDE).clone().requires_grad_()
    DipoleEncoder(cells=CELLS, latent_size=3, dropout=0.0)(u).latents.sum().backward()
    assert u.grad is not None
    assert u.grad.isfinite().all()


def test_dropout_is_active_in_training_only() -> None:
    torch.manual_seed(0)
    encoder, u = DipoleEncoder(cells=2, latent_size=50, dropout=0.5), torch.rand(1, 3, 8, 8)
    assert 0.3 < (encoder(u).latents == 0).float().mean() < 0.7
    assert (encoder.eval()(u).latents != 0).all()
