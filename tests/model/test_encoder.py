"""The encoder: shapes, independence of frames, and agreement with the paper's plain order."""

import pytest
import torch
from torch import Tensor, nn

from fwdecg.model.encoder import FRAMES_AT_ONCE, FrameEncoder, with_changes
from fwdecg.model.standardise import Standardise


def _encoder(dropout: float = 0.0, *, changes: bool = False) -> FrameEncoder:
    torch.manual_seed(0)
    return FrameEncoder(
        Standardise(torch.tensor(0.0), torch.tensor(1.0)),
        channels=(3, 5),
        pooled_size=2,
        latent_size=7,
        dropout=dropout,
        changes=changes,
    )


def _plain(encoder: FrameEncoder, maps: Tensor) -> Tensor:
    """One case and frame batch after another in the paper's order: ReLU before pooling."""
    activations = maps.reshape(-1, 1, *maps.shape[2:])
    for convolution, norm, _ in encoder.blocks:
        normalised = nn.functional.batch_norm(
            convolution(activations),
            norm.running_mean.clone(),
            norm.running_var.clone(),
            norm.weight,
            norm.bias,
            training=encoder.training,
        )
        activations = nn.functional.max_pool2d(torch.relu(normalised), 2)
    pool, _, linear = encoder.summarise
    return linear(pool(activations).reshape(len(activations), -1)).reshape(*maps.shape[:2], -1)


@pytest.mark.parametrize("training", [True, False])
def test_equals_the_plain_order(training: bool) -> None:
    encoder = _encoder().train(training)
    maps = torch.randn(2, 3, 9, 12)
    with torch.set_grad_enabled(training):
        ours, plain = encoder(maps).latents, _plain(encoder, maps)
    # The same sums in another order: some float32 roundings of values near 1.
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sides", [(4, 4), (5, 31), (32, 32)])
def test_any_map_size(sides: tuple[int, int]) -> None:
    assert _encoder()(torch.randn(2, 3, *sides)).latents.shape == (2, 3, 7)


def test_frames_do_not_mix_in_evaluation() -> None:
    encoder = _encoder().eval()
    maps = torch.randn(2, FRAMES_AT_ONCE + 3, 8, 8)  # more than one part
    shuffled = torch.randperm(maps.shape[1])
    torch.testing.assert_close(
        encoder(maps).latents[:, shuffled], encoder(maps[:, shuffled]).latents
    )
    torch.testing.assert_close(encoder(maps).latents[1:], encoder(maps[1:]).latents)


def test_dropout_acts_in_training_alone_and_repeats_with_the_seed() -> None:
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


def test_a_single_frame_has_no_changes() -> None:
    assert torch.equal(with_changes(torch.ones(2, 1, 4, 4))[..., 1:], torch.zeros(2, 1, 4, 4, 2))


def test_with_changes_a_latent_sees_its_neighbours_and_no_others() -> None:
    encoder, maps = _encoder(changes=True).eval(), torch.randn(1, 6, 8, 8)
    touched = maps.clone()
    touched[:, 2] += 1.0
    differs = (encoder(touched).latents != encoder(maps).latents).any(-1)[0]
    assert differs.tolist() == [False, True, True, True, False, False]


def test_changes_are_taken_before_they_are_rounded() -> None:
    maps = 1.0 + 1e-3 * torch.rand(1, 3, 4, 4)  # bfloat16 resolves 8e-3 there
    with torch.autocast("cpu", dtype=torch.bfloat16):
        seen = with_changes(maps)
    assert seen.dtype == torch.bfloat16
    assert torch.equal(seen, with_changes(maps).bfloat16())
    assert seen[..., 1:].unique().numel() > 10
