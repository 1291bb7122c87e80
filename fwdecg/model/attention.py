"""Bahdanau's additive attention over the latents and their times, Eq. 2-3, and its absence.

Axes: B batch, T frame, L latent, D entry of the time embedding, S decoder state, A attention.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class AdditiveAttention(nn.Module):
    """Context c_t: the latents weighted by how well they and their times answer the state."""

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
        """U_a (l_i || e_i) of Eq. 2, which does not depend on the state: once per sequence."""
        return self.U_a(torch.cat((latents, times.expand(latents.shape[0], -1, -1)), dim=-1))

    def forward(
        self,
        state: Float[Tensor, "B S"],
        keys: Float[Tensor, "B T A"],
        latents: Float[Tensor, "B T L"],
    ) -> tuple[Float[Tensor, "B L"], Float[Tensor, "B T"]]:
        """Context c_t and weights alpha_{t,i}; the weights of a case sum to 1.

        Args:
            state: hidden state of the decoder before this step.
            keys: of these latents, from `keys`.
            latents: l_i.
        """
        scores = self.V_a(torch.tanh(self.W_a(state)[:, None] + keys)).squeeze(-1)  # Eq. 2
        weights = torch.softmax(scores, dim=-1)
        context = torch.bmm(weights[:, None], latents).squeeze(1)  # Eq. 3
        return context, weights


class NoAttention(nn.Module):
    """Stands where attention is left out: its context is empty, each frame sees itself alone."""

    context_size = 0

    def keys(
        self, latents: Float[Tensor, "B T L"], times: Float[Tensor, "T D"]
    ) -> Float[Tensor, "B T 0"]:
        """Keys of no size."""
        del times
        return latents[..., :0]

    def forward(
        self,
        state: Float[Tensor, "B S"],
        keys: Float[Tensor, "B T 0"],
        latents: Float[Tensor, "B T L"],
    ) -> tuple[Float[Tensor, "B 0"], Float[Tensor, "B T"]]:
        """A context of no size, and weights of 0."""
        del state
        return keys[:, 0], latents.new_zeros(latents.shape[:2])
