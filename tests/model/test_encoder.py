"""Encoders: shapes, independence of frames, and equality with the order of the paper."""

import pytest
import torch
from torch import Tensor, nn

from fwdecg.model.encoder import FRAMES_PER_BATCH, FrameEncoder, MeanVoltage, with_changes
from fwdecg.model.standardise import ZScore
from fwdecg.model.surrogate_config import AVERAGE, MAXIMUM, SurrogateConfig


def _encoder(
    dropout: float = 0.0, *, changes: bool = False, pooling: str = AVERAGE
) -> FrameEncoder:
    torch.manual_seed(0)
    config = SurrogateConfig(
        hidden_size=7,
        channels=(3, 5),
        pooled_size=2,
        dropout=dropout,
        changes=changes,
        pooling=pooling,
    )
    return FrameEncoder(ZScore(torch.tensor(0.0), torch.tensor(1.0)), config)


def _reference(encoder: FrameEncoder, maps: Tensor, pooling: str) -> Tensor:
    """Return the latents step by step: average pooling first, maximum pooling last."""
    activations = maps.reshape(-1, 1, *maps.shape[2:])
    for block in encoder.blocks:
        convolved = nn.functional.conv2d(activations, block.convolution.weight, padding=1)
        if pooling == AVERAGE:
            convolved = nn.functional.avg_pool2d(convolved, 2)
        normalised = nn.functional.batch_norm(
            convolved,
            block.norm.running_mean.clone(),
            block.norm.running_var.clone(),
            block.norm.weight,
            block.norm.bias,
            training=encoder.training,
        )
        activations = torch.relu(normalised)
        if pooling == MAXIMUM:
            activations = nn.functional.max_pool2d(activations, 2)
    pool, _, linear = encoder.summarise
    return linear(pool(activations).reshape(len(activations), -1)).reshape(*maps.shape[:2], -1)


@pytest.mark.parametrize("pooling", [AVERAGE, MAXIMUM])
@pytest.mark.parametrize("training", [True, False])
def test_the_blocks_equal_their_parts(training: bool, pooling: str) -> None:
    encoder = _encoder(pooling=pooling).train(training)
    maps = torch.randn(2, 3, 9, 12)
    with torch.set_grad_enabled(training):
        ours, reference = encoder(maps).latents, _reference(encoder, maps, pooling)
    # The same sums in another order: a few float32 rounding errors of values near 1.
    torch.testing.assert_close(ours, reference, rtol=1e-5, atol=1e-5)


def test_frames_do_not_mix_in_evaluation() -> None:
    encoder = _encoder().eval()
    maps = torch.randn(2, FRAMES_PER_BATCH + 3, 8, 8)  # more than one batch
    shuffled = torch.randperm(maps.shape[1])
    torch.testing.assert_close(
        encoder(maps).latents[:, shuffled], encoder(maps[:, shuffled]).latents
    )
    torch.testing.assert_close(encoder(maps).latents[1:], encoder(maps[1:]).latents)


def test_dropout_is_active_in_training_only_and_reproducible() -> None:
    encoder, maps = _encoder(dropout=0.5), torch.randn(1, 4, 8, 8)
    torch.manual_seed(1)
    first, second = encoder(maps).latents, encoder(maps).latents
    torch.manual_seed(1)
    assert torch.equal(encoder(maps).latents, first)
    assert not torch.equal(first, second)
    encoder.eval()
    assert torch.equal(encoder(maps).latents, encoder(maps).latents)


def test_changes_by_hand() -> None:
    maps = torch.tensor([1.0, 4.0, 2.0]).reshape(1, 3, 1, 1)
    expected = torch.tensor([[1.0, 0.0, 3.0], [4.0, 3.0, -2.0], [2.0, -2.0, 0.0]])
    assert torch.equal(with_changes(maps), expected.reshape(1, 3, 1, 1, 3))
    assert with_changes(maps[:, :1]).flatten().tolist() == [1.0, 0.0, 0.0]


def test_with_changes_a_latent_depends_on_the_neighbouring_frames_only() -> None:
    encoder, maps = _encoder(changes=True).eval(), torch.randn(1, 6, 8, 8)
    changed = maps.clone()
    changed[:, 2] += 1.0
    differs = (encoder(changed).latents != encoder(maps).latents).any(-1)[0]
    assert differs.tolist() == [False, True, True, True, False, False]


def test_changes_are_computed_before_rounding() -> None:
    maps = 1.0 + 1e-3 * torch.rand(1, 3, 4, 4)  # bfloat16 resolves 8e-3 there
    with torch.autocast("cpu", dtype=torch.bfloat16):
        channels = with_changes(maps)
    assert channels.dtype == torch.bfloat16
    assert torch.equal(channels, with_changes(maps).bfloat16())
    assert channels[..., 1:].unique().numel() > 10


def test_the_amplitude_is_the_squared_speed_of_the_front() -> None:
    frame, column = torch.arange(24.0)[:, None], torch.arange(16.0)
    slow, fast = (torch.sigmoid(2 * (speed * frame - column)) for speed in (0.5, 1.0))
    maps = torch.stack((slow, fast))[:, :, None].expand(2, 24, 16, 16)
    encoder = _encoder()
    encoder.fit_typical_speed(maps[:1])
    amplitude = encoder(maps).amplitude
    assert amplitude.shape == (2, 1, 1)
    # Four times the squared speed; arrivals are interpolated between frames.
    torch.testing.assert_close(amplitude.flatten(), torch.tensor([1.0, 4.0]), rtol=0.05, atol=0)
    encoder.scaled = False
    assert encoder(maps).amplitude == 1.0


def test_mean_voltage_by_hand() -> None:
    score = ZScore(torch.tensor(1.0), torch.tensor(2.0))
    maps = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[0.0, 0.0], [0.0, -4.0]]]])
    assert MeanVoltage(score)(maps).latents.tolist() == [[[1.0], [-1.0]]]
