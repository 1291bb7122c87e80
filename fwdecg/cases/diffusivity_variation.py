"""Smooth variation of D inside a tissue: D = bulk D times 1 + a g, with g between -1 and 1.

g is a Gaussian random field z of spread 1, squashed by erf(z / sqrt 2), so that its values are
spread evenly from -1 to 1: mean 0, standard deviation 1 / sqrt 3.
"""

from dataclasses import replace

import numpy as np
from scipy.special import erf

from fwdecg.cases.random_field import SPREAD, draw_texture
from fwdecg.physics.tissue import Variation

SMOOTHING_PER_LENGTH = 0.5  # exp(-d^2 / (4 s^2)), see `textures`, falls to 1/e over 2 s


def draw_variation(
    rng: np.random.Generator, size_mm: float, *, amplitude: float, length_mm: float
) -> Variation:
    """A random variation on a square sheet.

    Args:
        rng: source of the noise.
        size_mm: side of the sheet.
        amplitude: the largest relative departure a from the bulk D.
        length_mm: distance over which the correlation of z falls to 1/e.
    """
    texture = draw_texture(rng, size_mm, SMOOTHING_PER_LENGTH * length_mm)
    even = erf(texture.values / (np.sqrt(2) * SPREAD))
    return Variation(texture=replace(texture, values=even), amplitude=amplitude)
