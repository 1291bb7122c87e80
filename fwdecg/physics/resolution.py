"""Spacing and step from an accuracy target: how far the conduction velocity (CV) is off.

The five-point scheme and explicit Euler both slow the wave. With tau_d the time scale of the
upstroke and sqrt(D tau_d) its width, measured over all published sets (D cancels exactly):

    relative error of CV = SPATIAL spacing^2 / (D tau_d) + TEMPORAL dt / tau_d

The constants bound the measured errors from above for every set up to a target of 0.1. Work goes as
1 / (spacing^2 dt), so half the error is best spent on space and half on time.
"""

from typing import NamedTuple

import numpy as np

from fwdecg.physics.fenton_karma import Parameters

SPATIAL = 0.0139
TEMPORAL = 0.1415


class Resolution(NamedTuple):
    """Side of a cell and length of a step."""

    spacing_mm: float
    dt_ms: float


def cv_error(
    resolution: Resolution, diffusivity_mm2_per_ms: float, parameters: Parameters
) -> float:
    """Expected relative error of the conduction velocity (the wave is too slow by this share)."""
    spacing_mm, dt_ms = resolution
    upstroke_area_mm2 = diffusivity_mm2_per_ms * parameters.tau_d
    return SPATIAL * spacing_mm**2 / upstroke_area_mm2 + TEMPORAL * dt_ms / parameters.tau_d


def resolution_for(
    target: float, diffusivity_mm2_per_ms: float, parameters: Parameters
) -> Resolution:
    """The cheapest spacing and step whose expected CV error is `target` (a share, e.g. 0.05).

    Args:
        target: relative error of the conduction velocity.
        diffusivity_mm2_per_ms: the smallest D of the tissue.
        parameters: the cell model.
    """
    upstroke_area_mm2 = diffusivity_mm2_per_ms * parameters.tau_d
    return Resolution(
        spacing_mm=float(np.sqrt(target / 2 * upstroke_area_mm2 / SPATIAL)),
        dt_ms=target / 2 * parameters.tau_d / TEMPORAL,
    )
