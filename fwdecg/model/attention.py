"""Additive attention over the latents and the embedding of their times.

Axes: B batch, T frame, L latent, D entry of the time embedding, S decoder state, A attention.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

LONGEST_WAVE = 10_000.0  # frames per radian of the slowest sinusoid (Vaswani et al., 2017)


def sinusoidal_embedding(
    frames: int, size: int, *, like: Float[Tensor, "..."]
) -> Float[Tensor, "T D"]:
    """Return the sinusoidal embedding of the frame number (Vaswani et al., 2017, section 3.5).

    The first half of the entries are sines and the second half cosines, at D / 2 frequencies in
    geometric progression.

    Args:
        frames: number of frames T.
        size: size D of the embedding, even; 0 for an empty embedding.
        like: tensor with the device and the precision of the result.
    """
    octaves = torch.arange(size // 2, device=like.device, dtype=like.dtype)
    # max avoids a division by 0 for an empty embedding.
    frequencies = torch.exp(-math.log(LONGEST_WAVE) * 2.0 / max(size, 1) * octaves)
    frame = torch.arange(frames, device=like.device, dtype=like.dtype)
    angles = frame[:, None] * frequencies
    return torch.cat((angles.sin(), angles.cos()), dim=1)


class AdditiveAttention(nn.Module):
    """Bahdanau's additive attention (Eq. 2-3), queried by the state of the decoder."""

    def __init__(
        self, *, latent_size: int, time_embedding_size: int, state_size: int, attention_size: int
    ) -> None:
        """Initialise W_a, U_a and V_a of Eq. 2 from torch's global generator."""
        super().__init__()
        self.context_size = latent_size
        self.W_a = nn.Linear(state_size, attention_size, bias=False)
        self.U_a = nn.Linear(latent_size + time_embedding_size, attention_size, bias=False)
        self.V_a = nn.Linear(attention_size, 1, bias=False)

    def keys(
        self, latents: Float[Tensor, "B T L"], times: Float[Tensor, "T D"]
    ) -> Float[Tensor, "B T A"]:
        """Return U_a (l_i || e_i) of Eq. 2, which is computed once and serves all steps."""
        return self.U_a(torch.cat((latents, times.expand(latents.shape[0], -1, -1)), dim=-1))

    def forward(
        self,
        state: Float[Tensor, "B S"],
        keys: Float[Tensor, "B T A"],
        latents: Float[Tensor, "B T L"],
    ) -> tuple[Float[Tensor, "B L"], Float[Tensor, "B T"]]:
        """Return the context c_t and the weights alpha_{t,i}, which sum to 1 for each case.

        Args:
            state: hidden state of the decoder before this step.
            keys: result of `keys` for these latents.
            latents: latent vectors l_i.
        """
        scores = self.V_a(torch.tanh(self.W_a(state)[:, None] + keys)).squeeze(-1)  # Eq. 2
        weights = torch.softmax(scores, dim=-1)
        context = torch.bmm(weights[:, None], latents).squeeze(1)  # Eq. 3
        return context, weights


class NoAttention(nn.Module):
    """Ablation of the attention: an empty context, so a step receives only its own frame."""

    context_size = 0

    def keys(
        self, latents: Float[Tensor, "B T L"], times: Float[Tensor, "T D"]
    ) -> Float[Tensor, "B T 0"]:
        """Return empty keys."""
        del times
        return latents[..., :0]

    def forward(
        self,
        state: Float[Tensor, "B S"],
        keys: Float[Tensor, "B T 0"],
        latents: Float[Tensor, "B T L"],
    ) -> tuple[Float[Tensor, "B 0"], Float[Tensor, "B T"]]:
        """Return an empty context, and weights of 0."""
        del state
        return keys[:, 0], latents.new_zeros(latents.shape[:2])
