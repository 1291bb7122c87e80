"""Textures of non-conductive patches: thresholded Gaussian random fields with a length in mm.

The field has correlation exp(-d^2 / (4 s^2)), see `textures`. A threshold t (in spreads of the
field) leaves the share f = 1 - Phi(t) above it, and by Rice's formula a straight line enters
exp(-t^2/2) / (2 sqrt(2) pi s) patches per mm. Share over rate is the mean length of a line inside a
patch: the patch size reported here, from which s follows.
"""

from statistics import NormalDist

import numpy as np

from fwdecg.cases.random_field import draw_texture
from fwdecg.physics.tissue import Scar


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
    texture = draw_texture(rng, size_mm, smoothing_length_mm(patch_size_mm, fraction))
    return Scar(texture=texture, threshold=float(np.quantile(texture.values, 1 - fraction)))
