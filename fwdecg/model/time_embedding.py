"""Sinusoidal embedding of the frame number (Vaswani et al., 2017, section 3.5).

Axes: T frame, D entry of the embedding.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

LONGEST_WAVE = 10_000.0  # frames per radian of the slowest sinusoid, as published


def sinusoidal_embedding(
    frames: int, size: int, *, like: Float[Tensor, "..."]
) -> Float[Tensor, "T D"]:
    """Sines, then cosines, of the frame number at size / 2 geometrically spaced frequencies.

    Args:
        frames: T.
        size: D, even; with 0 the embedding is empty.
        like: a tensor whose device and precision the embedding takes.
    """
    octaves = torch.arange(size // 2, device=like.device, dtype=like.dtype)
    # An empty embedding has no octave, but its slope must not divide by 0.
    frequencies = torch.exp(-math.log(LONGEST_WAVE) * 2.0 / max(size, 1) * octaves)
    frame = torch.arange(frames, device=like.device, dtype=like.dtype)
    angles = frame[:, None] * frequencies
    return torch.cat((angles.sin(), angles.cos()), dim=1)
