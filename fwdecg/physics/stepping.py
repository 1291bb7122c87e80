"""Compiled time steps of the monodomain equation, in which nearly all CPU time is spent.

There are two schemes. Both integrate the gates exactly at constant u, and diffusion explicitly from
the voltage at the start of the step.

The plain scheme is explicit Euler in u, with the gates at the start of the step.

The default scheme evaluates the gates half a step ahead of u. It treats the fast inward current
J_fi linearly implicitly at the middle of the step:

    u' = u + dt (div(D grad u) - J(u)) / (1 + dt/2 dJ_fi/du)

With FK-CAF, a time step slows a wave ten times less than with explicit Euler.

The stencil of div(D grad u) also exists in `diffusion`, where it computes lead fields once per case
in float64. The two do not share code. A step gathers the eight exchanges of a cell. It thus writes
each cell once, and the loop vectorises. `diffusion` adds the flux of each link to both of its
cells, which makes the sum over the sheet 0. To share code, one of them would have to sum in another
order, which would change the last bits of every library.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt64

from fwdecg.kernels.compile import kernel, vectorise
from fwdecg.kernels.tanh import one_plus_tanh
from fwdecg.physics.fenton_karma import StepConstants
from fwdecg.physics.padded_grid import LANES, TILE, Flat, PaddedGrid


class State(NamedTuple):
    """Voltage u and gates v, w of every cell, in the layout of `PaddedGrid`.

    A step writes the new voltage into `u_next`, then both arrays are swapped.
    """

    u: Flat
    u_next: Flat
    v: Flat
    w: Flat


class Coupling(NamedTuple):
    """Fraction of a voltage difference that is exchanged in one step: D weight dt / spacing^2.

    The arrays have the layout of `State`. Entry n couples cell n to its right neighbour n + 1
    (`right`), to cell n + `stride` below it (`down`) and to the cell below to the right
    (`falling`). `rising` couples the cell below n to the right neighbour of n.
    """

    right: Flat
    down: Flat
    falling: Flat
    rising: Flat
    stride: int


class CellRuns(NamedTuple):
    """The cells that a step computes: runs of columns for each band of `TILE` rows.

    Band b has the runs `offsets[b]` to `offsets[b + 1]` (exclusive). A run covers the columns
    `first` to `last` (exclusive), counted from the start of a padded row.
    """

    offsets: Int64[np.ndarray, " band+1"]
    first: UInt64[np.ndarray, " run"]
    last: UInt64[np.ndarray, " run"]


def whole_sheet(grid: PaddedGrid) -> CellRuns:
    """Return runs that cover every cell."""
    bands = -(-grid.rows // TILE)
    return CellRuns(
        offsets=np.arange(bands + 1),
        first=np.full(bands, LANES, dtype=np.uint64),
        last=np.full(bands, LANES + grid.cols, dtype=np.uint64),
    )


ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
# Smaller |u| is set to exactly 0. Far ahead of a wave it would otherwise become subnormal, and
# arithmetic with subnormal numbers is many times slower.
SMALLEST_U = np.float32(1e-30)


@kernel(inline=True)
def next_gates(
    u: np.float32, v: np.float32, w: np.float32, c: StepConstants
) -> tuple[np.float32, np.float32]:
    """Return v and w after a step at constant u.

    Conditional expressions compile to selections instead of branches, so that loops vectorise.
    """
    excited = u >= c.u_c
    target = ZERO if excited else ONE
    close_v_minus = c.close_v1 if u >= c.u_v else c.close_v2
    close_v = c.close_v_plus if excited else close_v_minus
    close_w = c.close_w_plus if excited else c.close_w_minus
    return v + (target - v) * close_v, w + (target - w) * close_w


@kernel()
def step_row(
    state: State, coupling: Coupling, first: np.uint64, last: np.uint64, c: StepConstants
) -> None:
    """Advance the cells `first` to `last` (exclusive) of one row by one step."""
    vectorise()
    u, u_next, v, w = state
    right, down, falling, rising, length = coupling
    stride, one = np.uint64(length), np.uint64(1)
    for n in range(first, last):
        here = u[n]
        diffusion = right[n] * (u[n + one] - here) - right[n - one] * (here - u[n - one])
        diffusion += down[n] * (u[n + stride] - here) - down[n - stride] * (here - u[n - stride])
        diffusion += falling[n] * (u[n + stride + one] - here)
        diffusion -= falling[n - stride - one] * (here - u[n - stride - one])
        diffusion += rising[n - stride] * (u[n - stride + one] - here)
        diffusion -= rising[n - one] * (here - u[n + stride - one])

        gate_v, gate_w = next_gates(here, v[n], w[n], c)
        v[n], w[n] = gate_v, gate_w

        excited = here >= c.u_c
        to_peak, above = ONE - here, here - c.u_c
        fast = gate_v * c.fast_inward if excited else ZERO
        slow_outward = c.slow_outward_excited if excited else here * c.slow_outward_at_rest
        opened, scale = one_plus_tanh(c.k * (here - c.u_csi))
        explicit = diffusion + fast * to_peak * above - slow_outward
        gain = explicit * scale + gate_w * c.slow_inward * opened
        new = here + gain / (scale * (ONE - HALF * fast * (to_peak - above)))
        u_next[n] = ZERO if abs(new) < SMALLEST_U else new


@kernel()
def plain_step_row(
    state: State, coupling: Coupling, first: np.uint64, last: np.uint64, c: StepConstants
) -> None:
    """Do the same as `step_row` with the plain scheme, which has no diagonal couplings."""
    vectorise()
    u, u_next, v, w = state
    right, down, _, _, length = coupling
    stride, one = np.uint64(length), np.uint64(1)
    for n in range(first, last):
        here, gate_v, gate_w = u[n], v[n], w[n]
        diffusion = right[n] * (u[n + one] - here) - right[n - one] * (here - u[n - one])
        diffusion += down[n] * (u[n + stride] - here) - down[n - stride] * (here - u[n - stride])

        excited = here >= c.u_c
        fast = gate_v * (ONE - here) * (here - c.u_c) * c.fast_inward if excited else ZERO
        slow_outward = c.slow_outward_excited if excited else here * c.slow_outward_at_rest
        opened, scale = one_plus_tanh(c.k * (here - c.u_csi))
        new = here + diffusion + fast - slow_outward + gate_w * c.slow_inward * opened / scale
        u_next[n] = ZERO if abs(new) < SMALLEST_U else new

        v[n], w[n] = next_gates(here, gate_v, gate_w, c)


STEPS_PER_SWEEP = 16  # steps taken in one pass over the rows


@kernel()
def _advance(
    state: State, coupling: Coupling, c: StepConstants, runs: CellRuns, steps: int, plain: bool
) -> None:
    u, u_next, v, w = state
    stride = np.uint64(coupling.stride)
    rows = u.size // coupling.stride - 2
    for done in range(0, steps, STEPS_PER_SWEEP):
        together = min(STEPS_PER_SWEEP, steps - done)
        for front in range(1, rows + together):
            for step in range(max(0, front - rows), min(together, front)):
                row = front - step
                start, band = np.uint64(row) * stride, (row - 1) // TILE
                levels = State(u, u_next, v, w) if step % 2 == 0 else State(u_next, u, v, w)
                for run in range(runs.offsets[band], runs.offsets[band + 1]):
                    first, last = start + runs.first[run], start + runs.last[run]
                    if plain:
                        plain_step_row(levels, coupling, first, last, c)
                    else:
                        step_row(levels, coupling, first, last, c)


def advance(
    state: State,
    coupling: Coupling,
    constants: StepConstants,
    runs: CellRuns,
    steps: int,
    plain: bool,
) -> State:
    """Advance the cells in `runs` by `steps` steps and return the state; overwrite the arrays.

    One pass over the rows takes `STEPS_PER_SWEEP` steps. Each step follows one row behind the
    previous one, so a row loaded from memory serves all of them. Taking one step after the other
    gives the same result to the last bit.
    """
    _advance(state, coupling, constants, runs, steps, plain)
    return State(state.u_next, state.u, state.v, state.w) if steps % 2 else state
