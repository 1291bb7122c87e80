"""Spacing and time step for a target error of the conduction velocity (CV), and stable steps.

The relative slowing of a wave by the grid is proportional to (spacing / front width)^2, that is, to
spacing^2 / (D tau_d). The calibrated scheme removes the slowing of a plane wave into tissue at
rest. In recovering tissue the front is wider and the slowing smaller, so the correction is too
large there. For a front along an axis into tissue with v >= 0.5, the remaining relative error,
measured for all published parameter sets, is at most

    CALIBRATED spacing^2 / (D tau_d)

Both spacing and time step of the plain scheme slow every wave. For a plane wave into tissue at
rest, the relative slowing is

    PLAIN_SPATIAL spacing^2 / (D tau_d) + PLAIN_TEMPORAL dt / tau_d

Stability limits the step. The fastest mode of diffusion, the checkerboard, decays at a rate of at
most 8 D / spacing^2 and grows if the step exceeds 2 / rate. With explicit Euler, the rate of the
fast inward current near u = 1, (1 - u_c) / tau_d, must be added to this rate. With longer steps a
checkerboard grows on the crest of the wave, although all values stay finite. The linearly implicit
current needs steps well below 2 tau_d / (1 - u_c), where its denominator vanishes.
"""

from typing import NamedTuple

import numpy as np

from fwdecg.physics.fenton_karma import Parameters

CALIBRATED = 0.0055
PLAIN_SPATIAL = 0.0139
PLAIN_TEMPORAL = 0.1415

# Upper bound of the increase of D by calibration, in units of spacing^2 / tau_d.
LARGEST_INCREASE = 0.03

# Time step of the calibrated scheme in units of spacing^2 / D, about a third of the stability limit
# of diffusion, and its upper bound in units of tau_d. With longer steps fronts lock to the grid,
# and the velocity jumps by up to 1 %.
STEP_RATIO = 0.09
LONGEST_STEP = 0.5


class Resolution(NamedTuple):
    """Side of a cell and time step."""

    spacing_mm: float
    dt_ms: float


def cv_error(
    resolution: Resolution,
    diffusivity_mm2_per_ms: float,
    parameters: Parameters,
    *,
    plain: bool = False,
) -> float:
    """Return the expected upper bound of the relative CV error."""
    spacing_mm, dt_ms = resolution
    squared_ratio = spacing_mm**2 / (diffusivity_mm2_per_ms * parameters.tau_d)
    if plain:
        return PLAIN_SPATIAL * squared_ratio + PLAIN_TEMPORAL * dt_ms / parameters.tau_d
    return CALIBRATED * squared_ratio


def stable_dt_ms(
    spacing_mm: float,
    diffusivity_mm2_per_ms: float,
    parameters: Parameters,
    *,
    plain: bool = False,
) -> float:
    """Return the largest stable step of a scheme in ms, given the largest D of a tissue."""
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
    """Return the cheapest spacing and step whose expected CV error is `target`.

    Args:
        target: relative error of the conduction velocity, for example 0.05.
        diffusivity_mm2_per_ms: smallest D of the tissue.
        parameters: constants of the cell model.
        plain: whether to use the plain scheme. Its work is proportional to 1 / (spacing^2 dt), so
            the cheapest choice allows half of the error to space and half to time.
    """
    front_width_squared_mm2 = diffusivity_mm2_per_ms * parameters.tau_d
    if plain:
        return Resolution(
            spacing_mm=float(np.sqrt(target / 2 * front_width_squared_mm2 / PLAIN_SPATIAL)),
            dt_ms=target / 2 * parameters.tau_d / PLAIN_TEMPORAL,
        )
    spacing_mm = float(np.sqrt(target * front_width_squared_mm2 / CALIBRATED))
    return Resolution(spacing_mm, calibrated_dt_ms(spacing_mm, diffusivity_mm2_per_ms, parameters))


def calibrated_dt_ms(
    spacing_mm: float, diffusivity_mm2_per_ms: float, parameters: Parameters
) -> float:
    """Return the step of the calibrated scheme in ms on cells of `spacing_mm`."""
    return min(STEP_RATIO * spacing_mm**2 / diffusivity_mm2_per_ms, LONGEST_STEP * parameters.tau_d)
