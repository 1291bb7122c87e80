"""Elliptic patches of non-conductive tissue, at random places of a sheet."""

import numpy as np

from fwdecg.cases.tissue_config import EllipsesConfig, Range
from fwdecg.physics.tissue import Ellipses


def draw_ellipses(
    rng: np.random.Generator, size_mm: float, *, half_axis_mm: Range, config: EllipsesConfig
) -> Ellipses:
    """Draw elliptic patches whose centres are uniformly distributed over a square sheet.

    Args:
        rng: random generator.
        size_mm: side of the sheet.
        half_axis_mm: range of the longer half-axis.
        config: ranges of number, aspect and angle.
    """
    number = rng.integers(*config.number, endpoint=True)
    longer_mm = rng.uniform(*half_axis_mm, number)
    shorter_mm = longer_mm * rng.uniform(*config.aspect, number)
    return Ellipses(
        centres_mm=rng.uniform(0.0, size_mm, (number, 2)),
        half_axes_mm=np.stack((longer_mm, shorter_mm), axis=1),
        angles_rad=np.radians(rng.uniform(*config.angle_deg, number)),
    )


def mean_diameter_mm(ellipses: Ellipses) -> float:
    """Return the mean diameter, in mm, of the circles with the areas of the ellipses."""
    return float(2 * np.sqrt(ellipses.half_axes_mm.prod(axis=1)).mean())
