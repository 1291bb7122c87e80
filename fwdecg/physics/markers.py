"""Markers of voltage frames: activation time, conduction velocity, action potential duration.

Crossings of a level are interpolated linearly between frames.
"""

import numpy as np
from jaxtyping import Float

from fwdecg.shapes import Field, Frames

ACTIVATION_LEVEL = 0.5  # of u, half of the upstroke, where the front is steepest
REPOLARISED = 0.9  # fraction of its peak by which u has fallen at the end of APD90

# Columns between which a velocity is measured, as fractions of the width. They are away from the
# stimulus and from the opposite edge.
WINDOW_START, WINDOW_END = 0.3, 0.7


def activation_times_ms(frames: Frames, frame_interval_ms: float) -> Field:
    """Return the time in ms at which u first rises through 0.5 in each cell, or NaN."""
    first = np.argmax(frames > ACTIVATION_LEVEL, axis=0)
    row, col = np.indices(first.shape)
    after = frames[first, row, col].astype(np.float64)
    before = frames[np.maximum(first - 1, 0), row, col].astype(np.float64)
    rise = np.where(after > before, after - before, np.inf)
    times = (first - (after - ACTIVATION_LEVEL) / rise) * frame_interval_ms
    return np.where(frames.max(axis=0) > ACTIVATION_LEVEL, times, np.nan)


def conduction_velocity_mm_per_ms(activation_ms: Field, spacing_mm: float) -> float:
    """Return the velocity in mm/ms of a plane wave from left to right.

    It is the slope of position against activation time in the middle of the width.

    Args:
        activation_ms: activation times; NaN cells are ignored.
        spacing_mm: side of a cell.

    Returns:
        The velocity, or NaN if fewer than two columns activate.
    """
    cols = activation_ms.shape[1]
    window = activation_ms[:, int(WINDOW_START * cols) : int(WINDOW_END * cols)]
    reached = ~np.isnan(window).all(axis=0)
    if reached.sum() < 2:
        return float("nan")
    times = np.nanmean(window[:, reached], axis=0)
    position_mm = np.flatnonzero(reached) * spacing_mm
    return float(np.polyfit(times, position_mm, 1)[0])


def action_potential_durations_ms(
    u: Float[np.ndarray, " frame"], frame_interval_ms: float
) -> Float[np.ndarray, " beat"]:
    """Return the duration (APD90) in ms of each action potential of one cell.

    An action potential lasts from the rise through half of the peak to the fall below a tenth of
    it. One that is incomplete at the end of the trace is left out.
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
    """Return the fractional frame numbers at which u rises through `level`."""
    before = np.flatnonzero((u[:-1] <= level) & (u[1:] > level))
    return before + (level - u[before]) / (u[before + 1] - u[before])
