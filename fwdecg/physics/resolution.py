"""Spacing and step from an accuracy target: how far the conduction velocity (CV) is off.

A grid slows a wave by a share that goes with the square of its spacing over the square of the
front's width, spacing^2 / (D tau_d). The calibrated scheme takes the slowing of a plane wave from
rest back altogether. In tissue that is still recovering the front is wider and the slowing less, so
that there the correction is too large. What is left, for a front along an axis into tissue whose
gate v is back at a half or more, measured over all published sets, is at most

    CALIBRATED spacing^2 / (D tau_d)

The plain scheme slows every wave, by its step too; for a plane wave from rest by

    PLAIN_SPATIAL spacing^2 / (D tau_d) + PLAIN_TEMPORAL dt / tau_d

How far a step may go: diffusion's fastest mode, the checkerboard, decays at 8 D / spacing^2 at
most, and a step of more than 2 over that rate makes it grow. Explicit Euler must damp with it the
membrane's fast inward current, whose rate is (1 - u_c) / tau_d where u is near 1; beyond that bound
a checkerboard grows on the crest of the wave, while all values stay finite. The linearly implicit
current needs steps well below 2 tau_d / (1 - u_c), where its denominator vanishes.
"""

from typing import NamedTuple

import numpy as np

from fwdecg.physics.fenton_karma import Parameters

CALIBRATED = 0.0055
PLAIN_SPATIAL = 0.0139
PLAIN_TEMPORAL = 0.1415

# By how much calibration raises D, at most, in spacing^2 / tau_d.
LARGEST_INCREASE = 0.03

# Step of the calibrated scheme in spacing^2 / D, about a third of what diffusion allows; and its
# largest in tau_d, beyond which the velocity jumps by up to 1 % as a front locks in with the steps.
STEP_RATIO = 0.09
LONGEST_STEP = 0.5


class Resolution(NamedTuple):
    """Side of a cell and length of a step."""

    spacing_mm: float
    dt_ms: float


def cv_error(
    resolution: Resolution,
    diffusivity_mm2_per_ms: float,
    parameters: Parameters,
    *,
    plain: bool = False,
) -> float:
    """Expected bound of the relative error of the conduction velocity."""
    spacing_mm, dt_ms = resolution
    cells = spacing_mm**2 / (diffusivity_mm2_per_ms * parameters.tau_d)
    if plain:
        return PLAIN_SPATIAL * cells + PLAIN_TEMPORAL * dt_ms / parameters.tau_d
    return CALIBRATED * cells


def stable_dt_ms(
    spacing_mm: float,
    diffusivity_mm2_per_ms: float,
    parameters: Parameters,
    *,
    plain: bool = False,
) -> float:
    """Largest step that a scheme takes at the largest D of a tissue."""
    if plain:
        diffusion_rate = 8 * diffusivity_mm2_per_ms / spacing_mm**2
        return 2 / (diffusion_rate + (1 - parameters.u_c) / parameters.tau_d)
    raised = diffusivity_mm2_per_ms + LARGEST_INCREASE * spacing_mm**2 / parameters.tau_d
    return min(spacing_mm**2 / (4 * raised), LONGEST_STEP * parameters.tau_d)


def resolution_for(
    target: float,
    diffusivity_mm2_per_ms: float,
    parameters: Parameters,
    *,
    plain: bool = False,
) -> Resolution:
    """The cheapest spacing and step whose expected CV error is `target` (a share, e.g. 0.05).

    Args:
        target: relative error of the conduction velocity.
        diffusivity_mm2_per_ms: the smallest D of the tissue.
        parameters: the cell model.
        plain: whether the scheme is the plain one. Its work goes as 1 / (spacing^2 dt), so that
            half the error is best spent on space and half on time.
    """
    upstroke_area_mm2 = diffusivity_mm2_per_ms * parameters.tau_d
    if plain:
        return Resolution(
            spacing_mm=float(np.sqrt(target / 2 * upstroke_area_mm2 / PLAIN_SPATIAL)),
            dt_ms=target / 2 * parameters.tau_d / PLAIN_TEMPORAL,
        )
    spacing_mm = float(np.sqrt(target * upstroke_area_mm2 / CALIBRATED))
    return Resolution(spacing_mm, calibrated_dt_ms(spacing_mm, diffusivity_mm2_per_ms, parameters))


def calibrated_dt_ms(
    spacing_mm: float, diffusivity_mm2_per_ms: float, parameters: Parameters
) -> float:
    """The step of the calibrated scheme on cells of `spacing_mm`."""
    return min(STEP_RATIO * spacing_mm**2 / diffusivity_mm2_per_ms, LONGEST_STEP * parameters.tau_d)
