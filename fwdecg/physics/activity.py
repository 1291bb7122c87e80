"""Which part of a sheet is at work: tissue at rest is left out of the steps, tile by tile.

A tile sleeps while |u| stays below a threshold in it and in all eight tiles around it, which is
looked up so often that no wave can reach it in between. Meanwhile its cells follow the equations
without diffusion, whose solution is known in closed form:

    u(t) = u(0) exp(-t / tau_0),  1 - v(t) = (1 - v(0)) exp(-t / tau_v2),  w likewise

(so far below u_csi the slow inward current is exactly 0). It is applied once when the tile wakes,
and whenever the voltage is looked at.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from fwdecg.kernels.compile import kernel
from fwdecg.physics.fenton_karma import Parameters
from fwdecg.physics.padded_grid import LANES, TILE, Flat, Layout
from fwdecg.physics.stepping import SMALLEST_U, Runs, State

# A step carries nothing further than to a neighbour, so in so many no wave crosses a tile.
STEPS_BETWEEN_LOOKS = TILE

# |u| below which a tile may sleep: still below u_v, where the gates' rates are those of rest. It
# leaves out that the tail of an action potential spreads, which is slower than its decay by two
# orders of magnitude.
REST_LEVEL = 0.03

Awake = Bool[np.ndarray, "tile_row tile_col"]


class _Recovery(NamedTuple):
    """Rates of return to rest in units of 1 per step, and the level below which they hold."""

    level: np.float32
    u: float
    v: float
    w: float


class Tiles(NamedTuple):
    """State of each tile: at work or asleep, and for how many steps."""

    awake: Awake
    steps_asleep: Int64[np.ndarray, "tile_row tile_col"]


class Activity:
    """Keeps account of the tiles of one run of a simulation."""

    def __init__(self, layout: Layout, parameters: Parameters, dt_ms: float) -> None:
        """A sheet at rest, all tiles asleep, nothing computed."""
        p = parameters
        one_rate = p.tau_v1 == p.tau_v2
        self._recovery = _Recovery(
            level=np.float32(REST_LEVEL if one_rate else min(REST_LEVEL, p.u_v)),
            u=dt_ms / p.tau_0,
            v=dt_ms / p.tau_v2,
            w=dt_ms / p.tau_w_minus,
        )
        self._layout = layout
        self._cells = np.outer(*(_cells_of_tiles(cells) for cells in (layout.rows, layout.cols)))
        shape = self._cells.shape
        self._tiles = Tiles(np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.int64))
        self.node_updates = 0  # cells times steps computed so far

    def next_runs(self, state: State, steps: int, *, everywhere: bool) -> Runs:
        """What to compute in the next few steps: all of the sheet, or what is at work."""
        layout, (awake, steps_asleep) = self._layout, self._tiles
        if everywhere:
            self.settle(state)
            awake[:] = True
        else:
            _wake_and_sleep(state, self._tiles, layout.stride, layout.rows, self._recovery)
            steps_asleep[~awake] += steps
        self.node_updates += int(self._cells[awake].sum()) * steps
        return _runs(awake)

    def settle(self, state: State) -> None:
        """Bring the cells of sleeping tiles up to the present, in place."""
        _settle_all(state, self._tiles, self._layout.stride, self._layout.rows, self._recovery)


def _cells_of_tiles(cells: int) -> Int64[np.ndarray, " tile"]:
    """Cells in each tile of a row of tiles; the last may be cut off."""
    first = np.arange(0, cells, TILE)
    return np.minimum(TILE, cells - first)


@kernel()
def _runs(awake: Awake) -> Runs:
    """Tiles side by side make one run."""
    bands, tiles = awake.shape
    offsets = np.zeros(bands + 1, dtype=np.int64)
    first, last = np.empty(awake.size, dtype=np.uint64), np.empty(awake.size, dtype=np.uint64)
    count = 0
    for i in range(bands):
        for j in range(tiles):
            if awake[i, j]:
                if j == 0 or not awake[i, j - 1]:
                    first[count] = LANES + j * TILE
                    count += 1
                last[count - 1] = LANES + (j + 1) * TILE
        offsets[i + 1] = count
    return Runs(offsets, first[:count], last[:count])


class _Box(NamedTuple):
    """The cells of a tile in the layout: its rows, and where its columns start in a row."""

    first_row: int
    last_row: int
    column: int


@kernel(inline=True)
def _box(i: int, j: int, rows: int) -> _Box:
    return _Box(i * TILE + 1, min((i + 1) * TILE, rows) + 1, LANES + j * TILE)


@kernel()
def _wake_and_sleep(
    state: State, tiles: Tiles, stride: int, rows: int, recovery: _Recovery
) -> None:
    awake, steps_asleep = tiles
    hot = np.zeros_like(awake)
    for i in range(awake.shape[0]):
        for j in range(awake.shape[1]):
            if awake[i, j]:
                hot[i, j] = _is_hot(state.u, _box(i, j, rows), stride, recovery.level)
    for i in range(awake.shape[0]):
        for j in range(awake.shape[1]):
            wanted = hot[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].any()
            if wanted != awake[i, j]:
                steps = 0 if awake[i, j] else steps_asleep[i, j]
                _settle(state, _box(i, j, rows), stride, steps, recovery)
                awake[i, j] = wanted
                steps_asleep[i, j] = 0


@kernel()
def _settle_all(state: State, tiles: Tiles, stride: int, rows: int, recovery: _Recovery) -> None:
    awake, steps_asleep = tiles
    for i in range(awake.shape[0]):
        for j in range(awake.shape[1]):
            if not awake[i, j]:
                _settle(state, _box(i, j, rows), stride, steps_asleep[i, j], recovery)
                steps_asleep[i, j] = 0


@kernel()
def _is_hot(u: Flat, box: _Box, stride: int, level: np.float32) -> bool:
    for row in range(box.first_row, box.last_row):
        start = row * stride + box.column
        above = 0
        for n in range(start, start + TILE):
            above += abs(u[n]) >= level
        if above > 0:
            return True
    return False


@kernel()
def _settle(state: State, box: _Box, stride: int, steps: int, recovery: _Recovery) -> None:
    """Cells of one tile after `steps` steps at rest; both voltage arrays hold the result."""
    u, u_next, v, w = state
    zero, one = np.float32(0), np.float32(1)
    keep_u = np.float32(np.exp(-steps * recovery.u))
    keep_v = np.float32(np.exp(-steps * recovery.v))
    keep_w = np.float32(np.exp(-steps * recovery.w))
    for row in range(box.first_row, box.last_row):
        start = row * stride + box.column
        for n in range(start, start + TILE):
            decayed = u[n] * keep_u
            decayed = zero if abs(decayed) < SMALLEST_U else decayed
            u[n], u_next[n] = decayed, decayed
            v[n] = one - (one - v[n]) * keep_v
            w[n] = one - (one - w[n]) * keep_w
