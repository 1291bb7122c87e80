"""Pooled voltage differences and first front arrival of one case, computed in one pass.

Axes: T frame, H row, W column, H_1 = H - 1, W_1 = W - 1, P row or column of the coarse grid.
`fwdecg.model.map_features` defines the features and their constants.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from fwdecg.kernels.compile import kernel, vectorise

ZERO, ONE = np.float32(0), np.float32(1)
# Same values as in `fwdecg.model.map_features`.
FRONT, LEAST_RISE = np.float32(0.5), np.float32(1e-6)
NOT_ARRIVED, ABOVE_AT_START = np.float32(-1), np.float32(-2)


class PixelWeights(NamedTuple):
    """Weights of pixels and pixel pairs that are the same in all frames of a case."""

    inverse_fraction: Float32[np.ndarray, "H W"]  # 1 / conducting fraction; 0 in patches
    right: Float32[np.ndarray, "H W_1"]  # of the difference to the next column
    down: Float32[np.ndarray, "H_1 W"]  # of the difference to the next row


class PoolingWeights(NamedTuple):
    """Weights with which pixels and pixel pairs contribute to each row and column of cells."""

    rows: Float32[np.ndarray, "P H"]
    row_pairs: Float32[np.ndarray, "P H_1"]
    columns: Float32[np.ndarray, "P W"]
    column_pairs: Float32[np.ndarray, "P W_1"]


@kernel(reassociate=True)
def compute_features(
    u: Float32[np.ndarray, "T H W"],
    pixels: PixelWeights,
    pooling: PoolingWeights,
    differences: Float32[np.ndarray, "T 2 P P"],
    arrival: Float32[np.ndarray, "H W"],
) -> None:
    """Write the features of one case into `differences` and `arrival`.

    Args:
        u: dimensionless voltage maps.
        pixels: weights of pixels and pixel pairs.
        pooling: weights of the coarse cells.
        differences: output, pooled voltage differences to the right and downwards.
        arrival: output, frame number at which a front first arrives; negative where none does.
    """
    frames, rows, columns = u.shape
    # Two frames alternate in one array, because swapping two variables slows the compiled loops.
    voltages = np.zeros((2, rows, columns), np.float32)
    arrival[:] = NOT_ARRIVED
    for t in range(frames):
        voltage, before = voltages[t % 2], voltages[1 - t % 2]
        _advance(u[t], pixels.inverse_fraction, t, (voltage, before), arrival)
        _pool_differences(voltage, pixels, pooling, differences[t])


@kernel()
def _advance(
    u: Float32[np.ndarray, "H W"],
    inverse_fraction: Float32[np.ndarray, "H W"],
    t: int,
    voltages: tuple[Float32[np.ndarray, "H W"], Float32[np.ndarray, "H W"]],
    arrival: Float32[np.ndarray, "H W"],
) -> None:
    """Fill `voltages[0]` from frame t, and record where a front arrived since frame t - 1.

    `voltages[1]` is frame t - 1. The arrival is interpolated linearly between the two frames.
    """
    vectorise()
    voltage, before = voltages
    frame = np.float32(t) - ONE
    for r in range(u.shape[0]):
        for c in range(u.shape[1]):
            now, last = u[r, c] * inverse_fraction[r, c], before[r, c]
            voltage[r, c] = now
            crossing = frame + (FRONT - last) / max(now - last, LEAST_RISE)
            crossing = crossing if frame >= ZERO else ABOVE_AT_START
            first = (now > FRONT) & (arrival[r, c] == NOT_ARRIVED)
            arrival[r, c] = crossing if first else arrival[r, c]


@kernel(reassociate=True)
def _pool_differences(
    voltage: Float32[np.ndarray, "H W"],
    pixels: PixelWeights,
    pooling: PoolingWeights,
    differences: Float32[np.ndarray, "2 P P"],
) -> None:
    """Pool the differences of one frame over pixel rows first, then over columns."""
    vectorise()
    rows, columns = voltage.shape
    right, down = np.empty(columns - 1, np.float32), np.empty(columns, np.float32)
    for p in range(differences.shape[1]):
        right[:] = ZERO
        down[:] = ZERO
        for r in range(rows):
            weight = pooling.rows[p, r]
            if weight != ZERO:
                for c in range(columns - 1):
                    step = voltage[r, c + 1] - voltage[r, c]
                    right[c] += weight * pixels.right[r, c] * step
        for r in range(rows - 1):
            weight = pooling.row_pairs[p, r]
            if weight != ZERO:
                for c in range(columns):
                    step = voltage[r + 1, c] - voltage[r, c]
                    down[c] += weight * pixels.down[r, c] * step
        for q in range(differences.shape[2]):
            total = ZERO
            for c in range(columns - 1):
                total += pooling.column_pairs[q, c] * right[c]
            differences[0, p, q] = total
            total = ZERO
            for c in range(columns):
                total += pooling.columns[q, c] * down[c]
            differences[1, p, q] = total
