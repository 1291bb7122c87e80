"""Skipping of tissue at rest: the solver computes only tiles that a wave may reach.

A tile rests while |u| is below a threshold in it and in all eight tiles around it. The checks are
frequent enough that no wave can reach a resting tile between two of them. The cells of a resting
tile follow the equations without diffusion, whose solution is known in closed form:

    u(t) = u(0) exp(-t / tau_0)
    1 - v(t) = (1 - v(0)) exp(-t / tau_v2)
    1 - w(t) = (1 - w(0)) exp(-t / tau_w_minus)

The slow inward current is exactly 0 this far below u_csi. The solution is applied once, when the
tile becomes active or when the voltage is read.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from fwdecg.kernels.compile import kernel
from fwdecg.physics.fenton_karma import Parameters
from fwdecg.physics.padded_grid import LANES, TILE, Flat, PaddedGrid
from fwdecg.physics.stepping import SMALLEST_U, CellRuns, State

# A step couples direct neighbours only, so no wave crosses a tile within this many steps.
STEPS_BETWEEN_CHECKS = TILE

# |u| below which a tile may rest. `ActivityTracker` lowers it to u_v if u_v is smaller, because
# above u_v the gate v recovers at another rate. The closed form neglects diffusion of the tail of
# an action potential, which is two orders of magnitude slower than its decay.
REST_LEVEL = 0.03

TileMask = Bool[np.ndarray, "tile_row tile_col"]


class _RestSolution(NamedTuple):
    """Rates per step at which u decays and the gates recover; valid while |u| < `level`."""

    level: np.float32
    u: float
    v: float
    w: float


class Tiles(NamedTuple):
    """Whether each tile is active and, if not, for how many steps it has rested."""

    active: TileMask
    steps_at_rest: Int64[np.ndarray, "tile_row tile_col"]


class ActivityTracker:
    """The active and resting tiles of one run of a simulation."""

    def __init__(self, grid: PaddedGrid, parameters: Parameters, dt_ms: float) -> None:
        """Start with all tiles at rest and no cell updates."""
        p = parameters
        same_rate_above_u_v = p.tau_v1 == p.tau_v2
        self._rest = _RestSolution(
            level=np.float32(REST_LEVEL if same_rate_above_u_v else min(REST_LEVEL, p.u_v)),
            u=dt_ms / p.tau_0,
            v=dt_ms / p.tau_v2,
            w=dt_ms / p.tau_w_minus,
        )
        self._grid = grid
        # Number of cells in each tile; the last tile along an axis may be smaller.
        sides = (np.minimum(TILE, n - np.arange(0, n, TILE)) for n in (grid.rows, grid.cols))
        self._cells = np.outer(*sides)
        shape = self._cells.shape
        self._tiles = Tiles(np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.int64))
        self.node_updates = 0  # cells times steps computed so far

    def next_runs(self, state: State, steps: int, *, everywhere: bool) -> CellRuns:
        """Return the cells to compute in the next steps: the active tiles, or the whole sheet.

        Args:
            state: current state; tiles that become active are brought up to date in place.
            steps: number of steps, at most `STEPS_BETWEEN_CHECKS` unless `everywhere`.
            everywhere: whether to compute the whole sheet.
        """
        grid, (active, steps_at_rest) = self._grid, self._tiles
        if everywhere:
            self.catch_up(state)
            active[:] = True
        else:
            _update_tiles(state, self._tiles, grid.stride, grid.rows, self._rest)
            steps_at_rest[~active] += steps
        self.node_updates += int(self._cells[active].sum()) * steps
        return _merge_into_runs(active)

    def catch_up(self, state: State) -> None:
        """Bring the cells of resting tiles up to date in place."""
        _catch_up_all(state, self._tiles, self._grid.stride, self._grid.rows, self._rest)


@kernel()
def _merge_into_runs(active: TileMask) -> CellRuns:
    """Merge adjacent active tiles of a band into one run of columns."""
    bands, tiles = active.shape
    offsets = np.zeros(bands + 1, dtype=np.int64)
    first, last = np.empty(active.size, dtype=np.uint64), np.empty(active.size, dtype=np.uint64)
    count = 0
    for i in range(bands):
        for j in range(tiles):
            if active[i, j]:
                if j == 0 or not active[i, j - 1]:
                    first[count] = LANES + j * TILE
                    count += 1
                last[count - 1] = LANES + (j + 1) * TILE
        offsets[i + 1] = count
    return CellRuns(offsets, first[:count], last[:count])


class _TileBounds(NamedTuple):
    """Position of a tile in the padded grid: its rows, and its first column."""

    first_row: int
    last_row: int
    column: int


@kernel(inline=True)
def _bounds(i: int, j: int, rows: int) -> _TileBounds:
    return _TileBounds(i * TILE + 1, min((i + 1) * TILE, rows) + 1, LANES + j * TILE)


@kernel()
def _update_tiles(state: State, tiles: Tiles, stride: int, rows: int, rest: _RestSolution) -> None:
    """Decide which tiles are active and bring those that become active up to date."""
    active, steps_at_rest = tiles
    excited = np.zeros_like(active)
    for i in range(active.shape[0]):
        for j in range(active.shape[1]):
            if active[i, j]:
                excited[i, j] = _exceeds(state.u, _bounds(i, j, rows), stride, rest.level)
    for i in range(active.shape[0]):
        for j in range(active.shape[1]):
            wanted = excited[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].any()
            if wanted != active[i, j]:
                steps = 0 if active[i, j] else steps_at_rest[i, j]
                _catch_up(state, _bounds(i, j, rows), stride, steps, rest)
                active[i, j] = wanted
                steps_at_rest[i, j] = 0


@kernel()
def _catch_up_all(state: State, tiles: Tiles, stride: int, rows: int, rest: _RestSolution) -> None:
    active, steps_at_rest = tiles
    for i in range(active.shape[0]):
        for j in range(active.shape[1]):
            if not active[i, j]:
                _catch_up(state, _bounds(i, j, rows), stride, steps_at_rest[i, j], rest)
                steps_at_rest[i, j] = 0


@kernel()
def _exceeds(u: Flat, bounds: _TileBounds, stride: int, level: np.float32) -> bool:
    """Return whether |u| reaches the level anywhere in a tile."""
    for row in range(bounds.first_row, bounds.last_row):
        start = row * stride + bounds.column
        above = 0
        for n in range(start, start + TILE):
            above += abs(u[n]) >= level
        if above > 0:
            return True
    return False


@kernel()
def _catch_up(
    state: State, bounds: _TileBounds, stride: int, steps: int, rest: _RestSolution
) -> None:
    """Advance a resting tile by `steps` steps in closed form; update both voltage arrays."""
    u, u_next, v, w = state
    zero, one = np.float32(0), np.float32(1)
    keep_u = np.float32(np.exp(-steps * rest.u))
    keep_v = np.float32(np.exp(-steps * rest.v))
    keep_w = np.float32(np.exp(-steps * rest.w))
    for row in range(bounds.first_row, bounds.last_row):
        start = row * stride + bounds.column
        for n in range(start, start + TILE):
            decayed = u[n] * keep_u
            decayed = zero if abs(decayed) < SMALLEST_U else decayed
            u[n], u_next[n] = decayed, decayed
            v[n] = one - (one - v[n]) * keep_v
            w[n] = one - (one - w[n]) * keep_w
