"""Steps of voltage and the first front's arrival, read off the maps of one case in one pass.

Axes: T frame, H row, W column, H_1 = H - 1, W_1 = W - 1, P row or column of the coarse grid.
Definitions and constants are those of `fwdecg.model.map_features`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from fwdecg.kernels.compile import kernel, vectorise

ZERO, ONE = np.float32(0), np.float32(1)
FRONT, LEAST_RISE = np.float32(0.5), np.float32(1e-6)
NOT_YET, NEVER = np.float32(-1), np.float32(-2)


class Sheet(NamedTuple):
    """What of a case does not change from frame to frame."""

    inverse: Float32[np.ndarray, "H W"]  # of the share that conducts, 0 where none does
    right: Float32[np.ndarray, "H W_1"]  # how much the step to the next column counts
    down: Float32[np.ndarray, "H_1 W"]  # and that to the next row


class Grid(NamedTuple):
    """By what pixels and the steps between them count in each row and column of cells."""

    rows: Float32[np.ndarray, "P H"]
    row_steps: Float32[np.ndarray, "P H_1"]
    columns: Float32[np.ndarray, "P W"]
    column_steps: Float32[np.ndarray, "P W_1"]


@kernel(reassociate=True)
def read_case(
    u: Float32[np.ndarray, "T H W"],
    sheet: Sheet,
    grid: Grid,
    steps: Float32[np.ndarray, "T 2 P P"],
    arrival: Float32[np.ndarray, "H W"],
) -> None:
    """Fill steps and arrivals; these are below 0 where no front arrives."""
    frames, rows, columns = u.shape
    # Two frames in turn: with two names that change places the compiler makes slower loops.
    voltages = np.zeros((2, rows, columns), np.float32)
    arrival[:] = NOT_YET
    for t in range(frames):
        voltage, before = voltages[t % 2], voltages[1 - t % 2]
        _advance(u[t], sheet.inverse, t, (voltage, before), arrival)
        _steps_of_cells(voltage, sheet, grid, steps[t])


@kernel()
def _advance(
    u: Float32[np.ndarray, "H W"],
    inverse: Float32[np.ndarray, "H W"],
    t: int,
    voltages: tuple[Float32[np.ndarray, "H W"], Float32[np.ndarray, "H W"]],
    arrival: Float32[np.ndarray, "H W"],
) -> None:
    """Fill the first of the voltages, and see where since the second the front has come."""
    vectorise()
    voltage, before = voltages
    frame = np.float32(t) - ONE
    for r in range(u.shape[0]):
        for c in range(u.shape[1]):
            now, last = u[r, c] * inverse[r, c], before[r, c]
            voltage[r, c] = now
            came = frame + (FRONT - last) / max(now - last, LEAST_RISE)
            came = came if frame >= ZERO else NEVER
            new = (now > FRONT) & (arrival[r, c] == NOT_YET)
            arrival[r, c] = came if new else arrival[r, c]


@kernel(reassociate=True)
def _steps_of_cells(
    voltage: Float32[np.ndarray, "H W"],
    sheet: Sheet,
    grid: Grid,
    steps: Float32[np.ndarray, "2 P P"],
) -> None:
    """Row of cells by row of cells: over their rows of pixels first, then over the columns."""
    vectorise()
    rows, columns = voltage.shape
    right, down = np.empty(columns - 1, np.float32), np.empty(columns, np.float32)
    for p in range(steps.shape[1]):
        right[:] = ZERO
        down[:] = ZERO
        for r in range(rows):
            weight = grid.rows[p, r]
            if weight != ZERO:
                for c in range(columns - 1):
                    step = voltage[r, c + 1] - voltage[r, c]
                    right[c] += weight * sheet.right[r, c] * step
        for r in range(rows - 1):
            weight = grid.row_steps[p, r]
            if weight != ZERO:
                for c in range(columns):
                    step = voltage[r + 1, c] - voltage[r, c]
                    down[c] += weight * sheet.down[r, c] * step
        for q in range(steps.shape[2]):
            total = ZERO
            for c in range(columns - 1):
                total += grid.column_steps[q, c] * right[c]
            steps[0, p, q] = total
            total = ZERO
            for c in range(columns):
                total += grid.columns[q, c] * down[c]
            steps[1, p, q] = total
