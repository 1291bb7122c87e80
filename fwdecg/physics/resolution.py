"""Spacing and step from an accuracy target: how far the conduction velocity (CV) is off.

The five-point scheme and explicit Euler both slow the wave. With tau_d the time scale of the
upstroke and sqrt(D tau_d) its width, measured over all published sets (D cancels exactly):

    relative error of CV = SPATIAL spacing^2 / (D tau_d) + TEMPORAL dt / tau_d

The constants bound the error of FK-CAF and meet that of the other sets within 4 % of itself, up to
a target of 0.1. Work goes as
1 / (spacing^2 dt), so half the error is best spent on space and half on time.

How far a step may go at all: explicit Euler damps the checkerboard, the fastest mode of diffusion
(rate 8 D / spacing^2), only if it also damps what the fast inward current adds to it where u is
near 1 (rate (1 - u_c) / tau_d). Beyond that a checkerboard grows on the crest of the wave, while
all values stay finite.
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


def stable_dt_ms(spacing_mm: float, diffusivity_mm2_per_ms: float, parameters: Parameters) -> float:
    """Largest step that is stable at the largest D of a tissue, diffusion and membrane together."""
    diffusion_rate = 8 * diffusivity_mm2_per_ms / spacing_mm**2
    membrane_rate = (1 - parameters.u_c) / parameters.tau_d
    return 2 / (diffusion_rate + membrane_rate)


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
