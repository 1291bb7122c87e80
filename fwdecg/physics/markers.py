"""Markers read off voltage frames: activation time, conduction velocity, action potential duration.

A crossing of a level between two frames is placed by linear interpolation.
"""

import numpy as np
from jaxtyping import Float

from fwdecg.shapes import Field, Frames

ACTIVATION_LEVEL = 0.5  # of u: half of the upstroke, where the front is steepest
REPOLARISED = 0.9  # share of its peak that an action potential has lost at its end: APD90

# Columns between which a velocity is measured, as shares of the width: beyond the neighbourhood of
# the stimulus and of the edge.
MEASURED_FROM, MEASURED_TO = 0.3, 0.7


def activation_times_ms(frames: Frames, frame_interval_ms: float) -> Field:
    """Time at which u first rises through 0.5 in each cell; NaN where it never does."""
    first = np.argmax(frames > ACTIVATION_LEVEL, axis=0)
    row, col = np.indices(first.shape)
    after = frames[first, row, col].astype(np.float64)
    before = frames[np.maximum(first - 1, 0), row, col].astype(np.float64)
    rise = np.where(after > before, after - before, np.inf)
    times = (first - (after - ACTIVATION_LEVEL) / rise) * frame_interval_ms
    return np.where(frames.max(axis=0) > ACTIVATION_LEVEL, times, np.nan)


def conduction_velocity_mm_per_ms(activation_ms: Field, spacing_mm: float) -> float:
    """Velocity of a plane wave from left to right: the slope of position over activation time.

    Over the middle of the width.

    Args:
        activation_ms: activation times; NaN cells do not count.
        spacing_mm: side of a cell.

    Returns:
        The velocity in mm/ms, or NaN if fewer than two columns activate.
    """
    cols = activation_ms.shape[1]
    window = activation_ms[:, int(MEASURED_FROM * cols) : int(MEASURED_TO * cols)]
    reached = ~np.isnan(window).all(axis=0)
    if reached.sum() < 2:
        return float("nan")
    times = np.nanmean(window[:, reached], axis=0)
    position_mm = np.flatnonzero(reached) * spacing_mm
    return float(np.polyfit(times, position_mm, 1)[0])


def action_potential_durations_ms(
    u: Float[np.ndarray, " frame"], frame_interval_ms: float
) -> Float[np.ndarray, " beat"]:
    """Duration of each action potential in one cell's trace, APD90.

    From the rise through half of the peak to the fall below a tenth of it; an action potential that
    the trace cuts off does not count.
    """
    peak = float(u.max())
    rises = _crossings(u, peak / 2)
    falls = _crossings(-u, -(1 - REPOLARISED) * peak)
    durations = []
    for begin, following in zip(rises, np.append(rises[1:], np.inf), strict=True):
        ends = falls[(falls > begin) & (falls < following)]
        if ends.size:
            durations.append((ends[0] - begin) * frame_interval_ms)
    return np.array(durations)


def _crossings(u: Float[np.ndarray, " frame"], level: float) -> Float[np.ndarray, " crossing"]:
    """Fractional frame numbers at which u rises through `level`."""
    before = np.flatnonzero((u[:-1] <= level) & (u[1:] > level))
    return before + (level - u[before]) / (u[before + 1] - u[before])
