"""The Fenton-Karma cell model: parameters, published sets, and its step on a sheet of tissue.

Fenton & Karma, Chaos 8:20 (1998), with u = (V - V0) / (Vfi - V0), p = H(u - u_c), q = H(u - u_v):

    du/dt = div(D grad u) - J_fi - J_so - J_si
    J_fi = -v p (1 - u) (u - u_c) / tau_d
    J_so = u (1 - p) / tau_0 + p / tau_r
    J_si = -w [1 + tanh(k (u - u_csi))] / (2 tau_si)
    dv/dt = (1 - p) (1 - v) / tau_v_minus - p v / tau_v_plus
    dw/dt = (1 - p) (1 - w) / tau_w_minus - p w / tau_w_plus

tau_v_minus = q tau_v1 + (1 - q) tau_v2 is the convention of 1998. Fenton et al. 2002 print it with
tau_v1 and tau_v2 exchanged: a set copied from there must have them swapped. Rest: u = 0, v = w = 1.

The compiled step stands here whole, not spread over modules: a compiled function is cached by
the file it stands in, and would not notice a change to a function inlined from another.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from fwdecg.physics.compile import kernel


class Parameters(NamedTuple):
    """Constants of the cell model; times in ms, voltages on the scale of u."""

    tau_d: float
    tau_r: float
    tau_si: float
    tau_0: float
    tau_v_plus: float
    tau_v1: float
    tau_v2: float
    tau_w_plus: float
    tau_w_minus: float
    u_c: float
    u_v: float
    u_csi: float
    k: float


PUBLISHED = {
    # Electrically remodelled atrium: Goodman et al., Europace 7:S135 (2005). The values are those
    # on which four public codes agree; the table of the article itself could not be read.
    "FK-CAF": Parameters(
        tau_d=0.125,
        tau_r=70.0,
        tau_si=114.0,
        tau_0=32.5,
        tau_v_plus=5.75,
        tau_v1=60.0,
        tau_v2=82.5,
        tau_w_plus=300.0,
        tau_w_minus=400.0,
        u_c=0.16,
        u_v=0.04,
        u_csi=0.85,
        k=10.0,
    ),
    # Courtemanche human atrium; the attribution to Oliver & Krassowska (2005) is an inference.
    "FK-CRN": Parameters(
        tau_d=0.249,
        tau_r=222.9,
        tau_si=226.9,
        tau_0=64.7,
        tau_v_plus=5.75,
        tau_v1=40.0,
        tau_v2=82.5,
        tau_w_plus=300.0,
        tau_w_minus=100.0,
        u_c=0.16,
        u_v=0.04,
        u_csi=0.85,
        k=10.0,
    ),
    # The four fits of Fenton & Karma (1998): Beeler-Reuter, modified Beeler-Reuter,
    # modified Luo-Rudy I, and guinea pig.
    "FK98-BR": Parameters(
        tau_d=1 / 4,
        tau_r=33.33,
        tau_si=29.0,
        tau_0=12.5,
        tau_v_plus=3.33,
        tau_v1=1250.0,
        tau_v2=19.6,
        tau_w_plus=870.0,
        tau_w_minus=41.0,
        u_c=0.13,
        u_v=0.04,
        u_csi=0.85,
        k=10.0,
    ),
    "FK98-MBR": Parameters(
        tau_d=1 / 4,
        tau_r=50.0,
        tau_si=44.84,
        tau_0=8.3,
        tau_v_plus=3.33,
        tau_v1=1000.0,
        tau_v2=19.2,
        tau_w_plus=667.0,
        tau_w_minus=11.0,
        u_c=0.13,
        u_v=0.055,
        u_csi=0.85,
        k=10.0,
    ),
    "FK98-MLR-I": Parameters(
        tau_d=1 / 5.8,
        tau_r=130.0,
        tau_si=127.0,
        tau_0=12.5,
        tau_v_plus=10.0,
        tau_v1=18.2,
        tau_v2=18.2,
        tau_w_plus=1020.0,
        tau_w_minus=80.0,
        u_c=0.13,
        u_v=0.0,
        u_csi=0.85,
        k=10.0,
    ),
    "FK98-GP": Parameters(
        tau_d=1 / 8.7,
        tau_r=25.0,
        tau_si=22.22,
        tau_0=12.5,
        tau_v_plus=10.0,
        tau_v1=333.0,
        tau_v2=40.0,
        tau_w_plus=1000.0,
        tau_w_minus=65.0,
        u_c=0.13,
        u_v=0.025,
        u_csi=0.85,
        k=10.0,
    ),
}


class State(NamedTuple):
    """Voltage u and gates v, w of every cell, advanced in place.

    Row-major and flat, with a rim of one cell that does not conduct on every side of the sheet, so
    that each cell has four neighbours. `u_next` is where a step writes before the two are swapped.
    """

    u: Float32[np.ndarray, " cell"]
    u_next: Float32[np.ndarray, " cell"]
    v: Float32[np.ndarray, " cell"]
    w: Float32[np.ndarray, " cell"]


class Coupling(NamedTuple):
    """Share of a voltage difference that crosses a face in one step: D_face dt / spacing^2.

    Laid out as `State`: `right[n]` couples cell n to n + 1, `down[n]` to n + `stride`.
    """

    right: Float32[np.ndarray, " cell"]
    down: Float32[np.ndarray, " cell"]
    stride: int


class Rates(NamedTuple):
    """`Parameters` at a fixed step, as the kernel multiplies with them (float32).

    Currents are in units of u per step. `close_*` is 1 - exp(-dt / tau): the share of a gate's
    distance from its target that a step closes, exactly. (exp(-dt / tau) itself, next to 1, would
    lose the slow gates' digits.)
    """

    u_c: np.float32
    u_v: np.float32
    u_csi: np.float32
    k: np.float32
    fast_inward: np.float32
    slow_outward_at_rest: np.float32
    slow_outward_excited: np.float32
    slow_inward: np.float32
    close_v_plus: np.float32
    close_v1: np.float32
    close_v2: np.float32
    close_w_plus: np.float32
    close_w_minus: np.float32


def rates(parameters: Parameters, dt_ms: float) -> Rates:
    """The constants of one step of `dt_ms`."""
    p = parameters
    values = (
        p.u_c,
        p.u_v,
        p.u_csi,
        p.k,
        dt_ms / p.tau_d,
        dt_ms / p.tau_0,
        dt_ms / p.tau_r,
        dt_ms / (2 * p.tau_si),
        *(-np.expm1(-dt_ms / tau) for tau in (p.tau_v_plus, p.tau_v1, p.tau_v2)),
        *(-np.expm1(-dt_ms / tau) for tau in (p.tau_w_plus, p.tau_w_minus)),
    )
    return Rates(*(np.float32(value) for value in values))


ZERO, ONE = np.float32(0), np.float32(1)
# Below this u is set to exactly 0: far ahead of a wave it would fall into subnormal numbers,
# on which a processor is many times slower.
SMALLEST_U = np.float32(1e-30)

# tanh(x) = x P(x^2) / Q(x^2), fitted on [-8, 8] for the least maximal error, 1.3e-7, and P raised
# by 4e-7: so it reaches 1 at the bound and is cut off there. A cell at rest then has a slow inward
# current of exactly 0, and u = 0 is an exact fixed point. A division and seven multiply-adds, so
# that it vectorises.
TANH_BOUND = np.float32(7.75)
P0, P1, P2, P3 = np.array([0.999999762, 0.129136454, 2.93882774e-03, 1.13102170e-05], np.float32)
Q1, Q2, Q3, Q4 = np.array([0.462467389, 2.37638223e-2, 2.37028315e-4, 2.42383789e-7], np.float32)


@kernel(inline=True)
def tanh(x: np.float32) -> np.float32:
    """Hyperbolic tangent, with an absolute error below 1e-6."""
    x = min(max(x, -TANH_BOUND), TANH_BOUND)
    z = x * x
    p = ((P3 * z + P2) * z + P1) * z + P0
    q = (((Q4 * z + Q3) * z + Q2) * z + Q1) * z + ONE
    return min(max(x * p / q, -ONE), ONE)


@kernel(inline=True)
def ionic_gain(u: np.float32, v: np.float32, w: np.float32, r: Rates) -> np.float32:
    """-(J_fi + J_so + J_si) dt: what the membrane adds to u in one step."""
    excited = u >= r.u_c
    minus_j_fi = v * (ONE - u) * (u - r.u_c) * r.fast_inward if excited else ZERO
    j_so = r.slow_outward_excited if excited else u * r.slow_outward_at_rest
    minus_j_si = w * (ONE + tanh(r.k * (u - r.u_csi))) * r.slow_inward
    return minus_j_fi - j_so + minus_j_si


@kernel()
def step(state: State, coupling: Coupling, r: Rates) -> None:
    """One explicit Euler step of u into `u_next`; v and w exactly, in place.

    Indices are unsigned and the choices are selections, not branches: only so does the compiler
    turn the loop over a row into vector instructions.
    """
    u, u_next, v, w = state
    right, down = coupling.right, coupling.down
    stride = np.uint64(coupling.stride)
    one = np.uint64(1)
    for row in range(one, np.uint64(u.size) // stride - one):
        for n in range(row * stride + one, (row + one) * stride - one):
            here, gate_v, gate_w = u[n], v[n], w[n]
            spread = right[n] * (u[n + one] - here) - right[n - one] * (here - u[n - one])
            spread += down[n] * (u[n + stride] - here) - down[n - stride] * (here - u[n - stride])
            new = here + spread + ionic_gain(here, gate_v, gate_w, r)
            u_next[n] = ZERO if abs(new) < SMALLEST_U else new
            excited = here >= r.u_c
            target = ZERO if excited else ONE
            close_v_minus = r.close_v1 if here >= r.u_v else r.close_v2
            close_v = r.close_v_plus if excited else close_v_minus
            close_w = r.close_w_plus if excited else r.close_w_minus
            v[n] = gate_v + (target - gate_v) * close_v
            w[n] = gate_w + (target - gate_w) * close_w


@kernel()
def advance(state: State, coupling: Coupling, r: Rates, steps: int) -> State:
    """The state after `steps` steps; its two voltage arrays may have changed places."""
    u, u_next, v, w = state
    for _ in range(steps):
        step(State(u, u_next, v, w), coupling, r)
        u, u_next = u_next, u
    return State(u, u_next, v, w)
