"""Gaussian random fields on a lattice, from which patches and variations of D are made.

White noise, smoothed by a Gaussian of standard deviation s, is a Gaussian random field with
correlation exp(-d^2 / (4 s^2)).
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from fwdecg.physics.tissue import Texture

NODES_PER_SMOOTHING_LENGTH = 3
FILTER_REACH = 4  # the Gaussian is cut off at this many standard deviations
# Standard deviation of the field; that of the noise is 1.
SPREAD = 1 / (2 * np.sqrt(np.pi) * NODES_PER_SMOOTHING_LENGTH)


def draw_texture(rng: np.random.Generator, size_mm: float, smoothing_length_mm: float) -> Texture:
    """A Gaussian random field of mean 0 and standard deviation `SPREAD` over a square sheet.

    Args:
        rng: source of the noise.
        size_mm: side of the sheet.
        smoothing_length_mm: standard deviation s of the smoothing.
    """
    spacing_mm = smoothing_length_mm / NODES_PER_SMOOTHING_LENGTH
    nodes = int(np.ceil(size_mm / spacing_mm)) + 1
    margin = NODES_PER_SMOOTHING_LENGTH * FILTER_REACH
    noise = rng.standard_normal((nodes + 2 * margin,) * 2)
    smooth = gaussian_filter(noise, NODES_PER_SMOOTHING_LENGTH, truncate=FILTER_REACH)
    return Texture(values=smooth[margin:-margin, margin:-margin], spacing_mm=spacing_mm)
