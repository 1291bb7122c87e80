"""The diffusivity with which a grid conducts as the continuum does.

On cells as wide as a wave's front, and with steps as long as its upstroke, a plane wave from rest
runs too slow by several percent. Cardiac solvers correct this by the conductivity: it is raised
until the velocity is right. Here that is done on a cable, for each spacing and step anew, by the
very steps that the sheet will take; so it costs little, and holds for every parameter set. What it
leaves is given in `resolution`.

All lengths are in units of sqrt(D ms), in which the velocity depends on the cell model alone.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from fwdecg.errors import TissueError
from fwdecg.physics.fenton_karma import Parameters, rates
from fwdecg.physics.markers import ACTIVATION_LEVEL
from fwdecg.physics.padded_grid import Layout
from fwdecg.physics.stepping import STEPS_PER_SWEEP, Coupling, State, advance, whole_sheet
from fwdecg.physics.tissue import Tissue

# In units of the front's width sqrt(D tau_d).
CABLE_LENGTH = 85.0
FEWEST_CELLS = 20
STIMULATED_LENGTH = 9.0
MEASURED_FROM, MEASURED_TO = 0.5, 0.9  # shares of the cable
LONGEST_RUN = 1000.0  # in tau_d, about ten times what a wave takes
SAMPLING = 0.1  # in tau_d, short against the upstroke
# Two resolutions for the continuum's velocity: spacing in front widths, step in tau_d. Their errors
# stand as 4 to 1.
FINE, FINER = (0.4, 0.04), (0.2, 0.01)

TOLERANCE = 1e-4
ATTEMPTS = 12
CONTINUUM_SLOPE = 0.5  # of log velocity against log D
SHARES = (0.1, 0.9)  # of an interval, beyond which it is not cut
# A field of D is calibrated at this many values, and between them by interpolation, which costs
# the velocity 1e-3 of itself at most, also where D spans a decade.
SAMPLES = 5


def calibrated(tissue: Tissue, dt_ms: float, parameters: Parameters) -> Tissue:
    """The tissue with D raised for its spacing and a step of `dt_ms`.

    Raises:
        TissueError: no wave runs on cells of this size.
    """
    d = tissue.diffusivity_mm2_per_ms
    lowest, highest = float(d[d > 0].min()), float(d.max())
    samples = np.geomspace(highest, lowest, SAMPLES if lowest < highest else 1)
    factors = [
        diffusivity_factor(tissue.spacing_mm / np.sqrt(sample), dt_ms, parameters)
        for sample in samples
    ]
    # The factor is nearly linear in the square of the spacing in units of sqrt(D ms).
    inverse = 1 / np.where(d > 0, d, highest)
    factor = np.interp(inverse, 1 / samples, factors)
    return replace(tissue, diffusivity_mm2_per_ms=d * factor)


def diffusivity_factor(spacing: float, dt_ms: float, parameters: Parameters) -> float:
    """By how much D is to be raised for a plane wave from rest to run at its true velocity.

    Args:
        spacing: side of a cell in sqrt(D ms), with the true D.
        dt_ms: step.
        parameters: the cell model.

    Raises:
        TissueError: no wave runs on cells of this size.
    """
    # Rounded, so that cells of one size are calibrated once.
    return _factor(float(f"{spacing:.6g}"), float(f"{dt_ms:.6g}"), parameters)


@lru_cache(maxsize=1024)
def _factor(spacing: float, dt_ms: float, parameters: Parameters) -> float:
    """By false position on the logarithms, in which the velocity is nearly a straight line.

    Not quite: with long steps a wave likes to move whole cells in whole numbers of steps, and its
    velocity has terraces.
    """
    true = np.log(continuum_velocity(parameters))
    x, below, above = 0.0, None, None
    errors: dict[float, float] = {}
    for _ in range(ATTEMPTS):
        errors[x] = error = np.log(velocity(spacing, dt_ms, parameters, factor=np.exp(x))) - true
        if abs(error) < TOLERANCE:
            break
        below, above = (x, above) if error < 0 else (below, x)
        if below is None or above is None:
            x -= error / CONTINUUM_SLOPE
        else:
            share = errors[below] / (errors[below] - errors[above])
            x = below + np.clip(share, *SHARES) * (above - below)
    return float(np.exp(min(errors, key=lambda tried: abs(errors[tried]))))


@lru_cache(maxsize=64)
def continuum_velocity(parameters: Parameters) -> float:
    """Velocity of a plane wave into tissue at rest, in sqrt(D / ms), to about 1e-4 of itself."""
    width = np.sqrt(parameters.tau_d)
    fine, finer = (
        velocity(spacing * width, step * parameters.tau_d, parameters)
        for spacing, step in (FINE, FINER)
    )
    return finer + (finer - fine) / 3


def velocity(
    spacing: float,
    dt_ms: float,
    parameters: Parameters,
    *,
    factor: float = 1.0,
    v: float = 1.0,
    plain: bool = False,
) -> float:
    """Velocity of a plane wave along a cable, in sqrt(D / ms).

    Args:
        spacing: side of a cell in sqrt(D ms).
        dt_ms: step.
        parameters: the cell model.
        factor: the D of the cable, in units of D.
        v: the gate v ahead of the wave, 1 at rest.
        plain: whether the steps are those of the plain scheme.

    Raises:
        TissueError: the wave does not get to the end.
    """
    width = np.sqrt(parameters.tau_d)
    layout = Layout(rows=1, cols=max(int(CABLE_LENGTH * width / spacing), FEWEST_CELLS))
    coupling = _cable(layout, factor * dt_ms / spacing**2)
    ones = np.ones((1, layout.cols))
    stimulated = ones[:, : int(np.ceil(STIMULATED_LENGTH * width / spacing))]
    state = State(*(layout.laid_out(field) for field in (stimulated, stimulated, v * ones, ones)))
    steps = max(1, min(STEPS_PER_SWEEP, int(SAMPLING * parameters.tau_d / dt_ms)))
    samples = int(LONGEST_RUN * parameters.tau_d / (steps * dt_ms))
    kernel_rates, everywhere = rates(parameters, dt_ms), whole_sheet(layout)

    activation = np.full(layout.cols, np.nan)  # in samples
    before = layout.view(state.u)[0].copy()
    for sample in range(samples):
        state = advance(state, coupling, kernel_rates, everywhere, steps, plain)
        after = layout.view(state.u)[0].copy()
        rises = (before <= ACTIVATION_LEVEL) & (after > ACTIVATION_LEVEL)
        crossing = (ACTIVATION_LEVEL - before[rises]) / (after[rises] - before[rises])
        activation[rises] = sample + crossing
        if after[-1] > ACTIVATION_LEVEL:
            break
        before = after
    measured = np.arange(int(MEASURED_FROM * layout.cols), int(MEASURED_TO * layout.cols))
    if np.isnan(activation[measured]).any():
        raise TissueError(
            f"no wave runs on cells of {spacing:.3g} sqrt(D ms) with steps of {dt_ms:g} ms; use "
            "smaller ones"
        )
    cells_per_sample = np.polyfit(activation[measured], measured, 1)[0]
    return float(cells_per_sample) * spacing / (steps * dt_ms)


def _cable(layout: Layout, share: float) -> Coupling:
    closed = layout.zeros()
    link = layout.laid_out(np.full((1, layout.cols - 1), share))
    return Coupling(link, closed, closed, closed, layout.stride)
