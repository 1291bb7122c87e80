"""What an encoder hands to the decoder.

Axes: B batch, T frame, L latent.
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Encoded(NamedTuple):
    """Latent vectors l_t, and the unit that the ECG is decoded in."""

    latents: Float[Tensor, "B T L"]
    amplitude: Float[Tensor, "B 1 1"] | float = 1.0  # the prediction is so many times the decoder's
