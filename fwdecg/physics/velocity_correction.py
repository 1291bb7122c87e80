"""Calibration of D, so that a coarse grid conducts at the velocity of the continuum.

On cells as wide as the wave front and with steps as long as its upstroke, a plane wave into tissue
at rest is several percent too slow. Cardiac solvers therefore raise the conductivity until the
velocity is right. This module finds the factor on a cable, for each spacing and step, with the same
compiled steps that later solve the sheet. This is cheap and works for every parameter set.
`resolution` gives the error that remains.

Lengths are in units of sqrt(D ms), in which the velocity depends on the cell model alone.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float32

from fwdecg.errors import TissueError
from fwdecg.physics.fenton_karma import Parameters, step_constants
from fwdecg.physics.markers import ACTIVATION_LEVEL
from fwdecg.physics.padded_grid import PaddedGrid
from fwdecg.physics.stepping import STEPS_PER_SWEEP, Coupling, State, advance, whole_sheet
from fwdecg.physics.tissue import Tissue

# Lengths in units of the front width sqrt(D tau_d).
CABLE_LENGTH = 85.0
FEWEST_CELLS = 20
STIMULATED_LENGTH = 9.0
MEASURED_FROM, MEASURED_TO = 0.5, 0.9  # fractions of the cable
LONGEST_RUN = 1000.0  # in tau_d, about ten times as long as a wave needs
SAMPLING = 0.1  # in tau_d, short compared with the upstroke
# Two resolutions from which the continuum velocity is extrapolated: spacing in front widths, step
# in tau_d. The first has four times the error of the second.
FINE, FINER = (0.4, 0.04), (0.2, 0.01)

TOLERANCE = 1e-4  # relative error of the velocity at which the search for the factor ends
MAX_ITERATIONS = 12
CONTINUUM_SLOPE = 0.5  # d log(velocity) / d log(D) in the continuum
BRACKET_LIMITS = (0.1, 0.9)  # fractions of the bracket between which the next trial lies
# For a varying D, the factor is computed at this many values of D and interpolated between them.
# This changes the velocity by at most 0.1 %, even if D spans a decade.
SAMPLES = 5


def calibrate_diffusivity(tissue: Tissue, dt_ms: float, parameters: Parameters) -> Tissue:
    """Return the tissue with D calibrated for its spacing and a time step of `dt_ms`.

    Raises:
        TissueError: no wave propagates on cells of this size.
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
    return Tissue(spacing_mm=tissue.spacing_mm, diffusivity_mm2_per_ms=d * factor)


def diffusivity_factor(spacing: float, dt_ms: float, parameters: Parameters) -> float:
    """Return the factor on D that gives a plane wave into tissue at rest the right velocity.

    Args:
        spacing: side of a cell in sqrt(D ms), with D before calibration.
        dt_ms: time step.
        parameters: constants of the cell model.

    Raises:
        TissueError: no wave propagates on cells of this size.
    """
    # Rounding lets cells of practically the same size share one cached result.
    return _diffusivity_factor(float(f"{spacing:.6g}"), float(f"{dt_ms:.6g}"), parameters)


@lru_cache(maxsize=1024)
def _diffusivity_factor(spacing: float, dt_ms: float, parameters: Parameters) -> float:
    """Solve for the factor by false position in log(D), in which log(velocity) is nearly linear.

    It is not exactly linear: with long steps a wave tends to cross each cell in a whole number of
    steps, and its velocity has plateaus. Each trial therefore stays away from the ends of the
    bracket, and the best trial is returned.
    """
    true = np.log(continuum_velocity(parameters))
    x, below, above = 0.0, None, None
    errors: dict[float, float] = {}
    for _ in range(MAX_ITERATIONS):
        velocity = cable_velocity(spacing, dt_ms, parameters, factor=np.exp(x))
        errors[x] = error = np.log(velocity) - true
        if abs(error) < TOLERANCE:
            break
        below, above = (x, above) if error < 0 else (below, x)
        if below is None or above is None:
            x -= error / CONTINUUM_SLOPE
        else:
            fraction = errors[below] / (errors[below] - errors[above])
            x = below + np.clip(fraction, *BRACKET_LIMITS) * (above - below)
    return float(np.exp(min(errors, key=lambda trial: abs(errors[trial]))))


@lru_cache(maxsize=64)
def continuum_velocity(parameters: Parameters) -> float:
    """Return the velocity of a plane wave into tissue at rest, in sqrt(D / ms).

    It is a Richardson extrapolation from two resolutions, with a relative error of about 1e-4.
    """
    width = np.sqrt(parameters.tau_d)
    fine, finer = (
        cable_velocity(spacing * width, step * parameters.tau_d, parameters)
        for spacing, step in (FINE, FINER)
    )
    return finer + (finer - fine) / 3


def cable_velocity(
    spacing: float,
    dt_ms: float,
    parameters: Parameters,
    *,
    factor: float = 1.0,
    v: float = 1.0,
    plain: bool = False,
) -> float:
    """Return the velocity of a plane wave along a cable, in sqrt(D / ms).

    Args:
        spacing: side of a cell in sqrt(D ms).
        dt_ms: time step.
        parameters: constants of the cell model.
        factor: diffusivity of the cable in units of D.
        v: gate v ahead of the wave; 1 at rest.
        plain: whether to use the plain scheme.

    Raises:
        TissueError: the wave does not reach the end of the cable.
    """
    cells = _cable_cells(spacing, parameters)
    voltages = _cable_voltages(spacing, dt_ms, parameters, factor=factor, v=v, plain=plain)
    activation = _activation_samples(voltages, cells)
    measured = np.arange(int(MEASURED_FROM * cells), int(MEASURED_TO * cells))
    if np.isnan(activation[measured]).any():
        raise TissueError(
            f"no wave runs on cells as wide as {spacing:.3g} times the square root of D x 1 ms, "
            f"with steps of {dt_ms:g} ms: they must resolve its front; use smaller ones"
        )
    cells_per_sample = np.polyfit(activation[measured], measured, 1)[0]
    return float(cells_per_sample) * spacing / (_steps_per_sample(dt_ms, parameters) * dt_ms)


def _cable_voltages(
    spacing: float,
    dt_ms: float,
    parameters: Parameters,
    *,
    factor: float,
    v: float,
    plain: bool,
) -> Iterator[Float32[np.ndarray, " cell"]]:
    """Yield the voltages along a cable, sample by sample, until a wave reaches its end."""
    width = np.sqrt(parameters.tau_d)
    grid = PaddedGrid(rows=1, cols=_cable_cells(spacing, parameters))
    ones, zeros = np.ones((1, grid.cols)), grid.zeros()
    u = ones[:, : int(np.ceil(STIMULATED_LENGTH * width / spacing))]  # 0 elsewhere
    state = State(*(grid.pad(field) for field in (u, u, v * ones, ones)))
    right = grid.pad(factor * dt_ms / spacing**2 * ones[:, 1:])
    coupling = Coupling(right, zeros, zeros, zeros, grid.stride)
    constants, runs = step_constants(parameters, dt_ms), whole_sheet(grid)
    steps = _steps_per_sample(dt_ms, parameters)
    yield grid.interior(state.u)[0].copy()
    for _ in range(int(LONGEST_RUN * parameters.tau_d / (steps * dt_ms))):
        state = advance(state, coupling, constants, runs, steps, plain)
        u = grid.interior(state.u)[0].copy()
        yield u
        if u[-1] > ACTIVATION_LEVEL:
            return


def _activation_samples(
    voltages: Iterable[Float32[np.ndarray, " cell"]], cells: int
) -> Float[np.ndarray, " cell"]:
    """Return the interpolated sample number at which each cell activates, or NaN."""
    activation = np.full(cells, np.nan)
    for sample, (before, after) in enumerate(pairwise(voltages)):
        rises = (before <= ACTIVATION_LEVEL) & (after > ACTIVATION_LEVEL)
        crossing = (ACTIVATION_LEVEL - before[rises]) / (after[rises] - before[rises])
        activation[rises] = sample + crossing
    return activation


def _steps_per_sample(dt_ms: float, parameters: Parameters) -> int:
    return max(1, min(STEPS_PER_SWEEP, int(SAMPLING * parameters.tau_d / dt_ms)))


def _cable_cells(spacing: float, parameters: Parameters) -> int:
    return max(int(CABLE_LENGTH * np.sqrt(parameters.tau_d) / spacing), FEWEST_CELLS)
