"""The whole surrogate: units, shapes, errors, gradients, and training on one batch."""

import dataclasses

import pytest
import torch
from torch import Tensor

from fwdecg.errors import ConfigError, MapsError
from fwdecg.model import Surrogate, SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.model.surrogate import build_surrogate
from fwdecg.training.metrics import r2

TINY = SurrogateConfig(
    hidden_size=12,
    channels=(3, 4),
    pooled_size=2,
    time_embedding_size=4,
    readout_size=8,
    dropout=0.0,
)
STATISTICS = Standardisation(
    u_mean=0.3, u_spread=0.4, phi_e_mean=(5.0, -2.0), phi_e_spread=(2.0, 10.0)
)


def _surrogate(config: SurrogateConfig = TINY) -> Surrogate:
    torch.manual_seed(0)
    return build_surrogate(config, electrodes=2, standardisation=STATISTICS)


def _travelling_fronts() -> tuple[Tensor, Tensor]:
    """Return maps (B, T, H, W) of fronts at several speeds, and an ECG (B, T, E) linear in them."""
    speed = torch.tensor([0.5, 0.8, 1.1, 1.4])[:, None, None]
    frame, column = torch.arange(12.0)[:, None], torch.arange(8.0)
    u = torch.sigmoid(2 * (speed * frame - column))[:, :, None, :].expand(-1, -1, 8, -1)
    lead_fields = torch.stack((torch.cos(column / 2), torch.sin(column)), dim=1)
    phi_e = u.mean(2) @ lead_fields
    # Scaled to STATISTICS, so that the standardised ECG is about 1.
    score = (phi_e - phi_e.mean((0, 1))) / phi_e.std((0, 1))
    return u, score * torch.tensor([2.0, 10.0]) + torch.tensor([5.0, -2.0])


CNN = dataclasses.replace(TINY, encoder="cnn")


@pytest.mark.parametrize(
    ("shape", "dtype"), [((1, 1, 4, 4), torch.float16), ((2, 5, 8, 13), torch.float32)]
)
@pytest.mark.parametrize("encoder", ["dipoles", "cnn", "mean_voltage"])
def test_maps_of_any_shape_and_precision(
    shape: tuple[int, ...], dtype: torch.dtype, encoder: str
) -> None:
    config = dataclasses.replace(TINY, encoder=encoder)
    ecg = _surrogate(config).eval()(torch.rand(shape).to(dtype))
    assert ecg.shape == (*shape[:2], 2)
    assert ecg.dtype == torch.float32


def test_predict_is_forward_in_library_units_without_gradients() -> None:
    surrogate, u = _surrogate().eval(), torch.rand(2, 5, 8, 8)
    prediction = surrogate.predict(u)
    assert not prediction.requires_grad
    torch.testing.assert_close(surrogate.standardise_ecg(prediction), surrogate(u))
    mean, spread = torch.tensor([5.0, -2.0]), torch.tensor([2.0, 10.0])
    torch.testing.assert_close(prediction, surrogate(u) * spread + mean)


def test_maps_are_standardised_inside() -> None:
    surrogate, u = _surrogate(CNN).eval(), torch.rand(1, 3, 8, 8)
    other = build_surrogate(
        CNN,
        electrodes=2,
        standardisation=dataclasses.replace(STATISTICS, u_mean=3.0, u_spread=4.0),
    ).eval()
    statistics = {name: value for name, value in other.state_dict().items() if "u_score" in name}
    other.load_state_dict(surrogate.state_dict() | statistics)
    torch.testing.assert_close(other(10 * u), surrogate(u))


@pytest.mark.parametrize("config", [TINY, CNN])
def test_the_state_dict_contains_the_whole_surrogate(config: SurrogateConfig) -> None:
    surrogate, u = _surrogate(config), torch.rand(2, 5, 8, 8)
    surrogate(u)  # updates the CNN's running statistics
    other = build_surrogate(
        config,
        electrodes=2,
        standardisation=Standardisation(
            u_mean=0.0, u_spread=1.0, phi_e_mean=(0.0, 0.0), phi_e_spread=(1.0, 1.0)
        ),
    )
    other.load_state_dict(surrogate.state_dict())
    assert torch.equal(other.eval().predict(u), surrogate.eval().predict(u))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"encoder": "cnn"},
        {"encoder": "mean_voltage"},
        {"attention": False},
        {"time_embedding_size": 0},
    ],
)
def test_every_parameter_has_a_finite_gradient(change: dict[str, object]) -> None:
    surrogate = _surrogate(dataclasses.replace(TINY, **change))
    surrogate(torch.rand(2, 5, 8, 8)).square().sum().backward()
    for name, parameter in surrogate.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("config", [TINY, CNN])
def test_overfits_one_batch(config: SurrogateConfig) -> None:
    surrogate = _surrogate(config)
    u, phi_e = _travelling_fronts()
    surrogate.fit_typical_speed(u)
    target = surrogate.standardise_ecg(phi_e)
    optimizer = torch.optim.Adam(surrogate.parameters(), lr=2e-2)
    for _ in range(100):
        optimizer.zero_grad()
        (surrogate(u) - target).square().mean().backward()
        optimizer.step()
    assert r2(surrogate(u).detach(), target).min() > 0.95


@pytest.mark.parametrize("shape", [(1, 0, 8, 8), (1, 2, 3, 8), (1, 2, 8, 3)])
def test_maps_without_frames_or_too_small_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(MapsError, match="must be at least one frame of 4 x 4"):
        _surrogate()(torch.zeros(shape))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"time_embedding_size": 7}, "time_embedding_size = 7: must be even"),
        ({"dropout": 1.0}, "dropout = 1.0: must be below 1"),
        ({"encoder": "lstm"}, "encoder = 'lstm': must be one of dipoles, cnn, mean_voltage"),
        ({"channels": (16, 0)}, "channels = .*: must be at least 1"),
    ],
)
def test_invalid_sizes_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(TINY, **change)


def test_another_number_of_electrodes_is_refused() -> None:
    with pytest.raises(ConfigError, match="electrodes = 3: must be 2"):
        build_surrogate(TINY, electrodes=3, standardisation=STATISTICS)
