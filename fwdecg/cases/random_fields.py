"""Gaussian random fields, and the non-conductive patches and variations of D derived from them.

White noise smoothed by a Gaussian of standard deviation s is a Gaussian random field whose
correlation at distance d is exp(-d^2 / (4 s^2)).

Patches are the region where such a field exceeds t standard deviations. They cover the fraction
f = 1 - Phi(t) of the area. By Rice's formula, a straight line enters

    n = exp(-t^2/2) / (2 sqrt(2) pi s)

patches per mm. Its mean length inside a patch is therefore f / n. This length is the patch size
used here, and it determines s.

A varying D is the bulk D times 1 + a g. The field g = erf(z / sqrt 2) is computed from a Gaussian
random field z of unit standard deviation. It is uniformly distributed on [-1, 1], with mean 0 and
standard deviation 1 / sqrt 3.
"""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import erf

from fwdecg.physics.tissue import LatticeField, Scar, Variation

NODES_PER_SMOOTHING_LENGTH = 3
FILTER_REACH = 4  # standard deviations at which the smoothing Gaussian is truncated
# Standard deviation of the field that results from noise of standard deviation 1.
FIELD_STANDARD_DEVIATION = 1 / (2 * np.sqrt(np.pi) * NODES_PER_SMOOTHING_LENGTH)
# The correlation exp(-d^2 / (4 s^2)) falls to 1/e at d = 2 s.
SMOOTHING_PER_CORRELATION_LENGTH = 0.5


def draw_gaussian_field(
    rng: np.random.Generator, size_mm: float, smoothing_length_mm: float
) -> LatticeField:
    """Draw a Gaussian random field over a square sheet.

    Its mean is 0 and its standard deviation is `FIELD_STANDARD_DEVIATION`.

    Args:
        rng: random generator.
        size_mm: side of the sheet.
        smoothing_length_mm: standard deviation s of the smoothing.
    """
    spacing_mm = smoothing_length_mm / NODES_PER_SMOOTHING_LENGTH
    nodes = int(np.ceil(size_mm / spacing_mm)) + 1
    margin = NODES_PER_SMOOTHING_LENGTH * FILTER_REACH
    noise = rng.standard_normal((nodes + 2 * margin,) * 2)
    smooth = gaussian_filter(noise, NODES_PER_SMOOTHING_LENGTH, truncate=FILTER_REACH)
    return LatticeField(values=smooth[margin:-margin, margin:-margin], spacing_mm=spacing_mm)


def smoothing_length_mm(patch_size_mm: float, fraction: float) -> float:
    """Return the smoothing length s, in mm, for patches of this mean size and area fraction."""
    threshold = NormalDist().inv_cdf(1 - fraction)
    return float(patch_size_mm * np.exp(-(threshold**2) / 2) / (2**1.5 * np.pi * fraction))


def draw_scar(
    rng: np.random.Generator, size_mm: float, *, patch_size_mm: float, fraction: float
) -> Scar:
    """Draw non-conductive patches on a square sheet.

    Args:
        rng: random generator.
        size_mm: side of the sheet.
        patch_size_mm: mean length of a straight line inside a patch.
        fraction: fraction of the sheet's area that does not conduct. A raster of the patches
            reproduces it within a few per cent of its value.
    """
    field = draw_gaussian_field(rng, size_mm, smoothing_length_mm(patch_size_mm, fraction))
    return Scar(field=field, threshold=float(np.quantile(field.values, 1 - fraction)))


def draw_variation(
    rng: np.random.Generator, size_mm: float, *, amplitude: float, length_mm: float
) -> Variation:
    """Draw a smooth variation of D on a square sheet.

    Args:
        rng: random generator.
        size_mm: side of the sheet.
        amplitude: largest relative deviation a from the bulk D.
        length_mm: distance at which the correlation of the Gaussian field falls to 1/e.
    """
    field = draw_gaussian_field(rng, size_mm, SMOOTHING_PER_CORRELATION_LENGTH * length_mm)
    uniform = erf(field.values / (np.sqrt(2) * FIELD_STANDARD_DEVIATION))
    return Variation(field=replace(field, values=uniform), amplitude=amplitude)
