"""Textures of non-conductive patches: thresholded Gaussian random fields with a length in mm.

White noise on a lattice, smoothed by a Gaussian of standard deviation s, is a Gaussian random
field with correlation exp(-d^2 / (4 s^2)). A threshold t (in spreads of the field) leaves the share
f = 1 - Phi(t) above it, and by Rice's formula a straight line enters exp(-t^2/2) / (2 sqrt(2) pi s)
patches per mm. Share over rate is the mean length of a line inside a patch: the patch size
reported here, from which s follows.
"""

from statistics import NormalDist

import numpy as np
from scipy.ndimage import gaussian_filter

from fwdecg.physics.tissue import Scar

NODES_PER_SMOOTHING_LENGTH = 3
FILTER_REACH = 4  # the Gaussian is cut off at this many standard deviations


def smoothing_length_mm(patch_size_mm: float, fraction: float) -> float:
    """Standard deviation of the smoothing that gives patches of a mean size at a covered share."""
    threshold = NormalDist().inv_cdf(1 - fraction)
    return float(patch_size_mm * np.exp(-(threshold**2) / 2) / (2**1.5 * np.pi * fraction))


def draw_scar(
    rng: np.random.Generator, size_mm: float, *, patch_size_mm: float, fraction: float
) -> Scar:
    """Random patches on a square sheet.

    Args:
        rng: source of the noise.
        size_mm: side of the sheet.
        patch_size_mm: mean length of a straight line's stay inside a patch.
        fraction: share of the sheet's area that does not conduct; a raster of the patches meets it
            within a few per cent of itself.
    """
    spacing_mm = smoothing_length_mm(patch_size_mm, fraction) / NODES_PER_SMOOTHING_LENGTH
    nodes = int(np.ceil(size_mm / spacing_mm)) + 1
    margin = NODES_PER_SMOOTHING_LENGTH * FILTER_REACH
    noise = rng.standard_normal((nodes + 2 * margin,) * 2)
    smooth = gaussian_filter(noise, NODES_PER_SMOOTHING_LENGTH, truncate=FILTER_REACH)
    texture = smooth[margin:-margin, margin:-margin]
    return Scar(
        texture=texture,
        texture_spacing_mm=spacing_mm,
        threshold=float(np.quantile(texture, 1 - fraction)),
    )
