"""The Fenton-Karma cell model: published parameter sets, and the constants of a time step.

Fenton & Karma, Chaos 8:20 (1998), with u = (V - V0) / (Vfi - V0), p = H(u - u_c), q = H(u - u_v):

    du/dt = div(D grad u) - J_fi - J_so - J_si
    J_fi = -v p (1 - u) (u - u_c) / tau_d
    J_so = u (1 - p) / tau_0 + p / tau_r
    J_si = -w [1 + tanh(k (u - u_csi))] / (2 tau_si)
    dv/dt = (1 - p) (1 - v) / tau_v_minus - p v / tau_v_plus
    dw/dt = (1 - p) (1 - w) / tau_w_minus - p w / tau_w_plus

with tau_v_minus = q tau_v1 + (1 - q) tau_v2 as in 1998. Fenton et al. (2002) print it with tau_v1
and tau_v2 exchanged, so swap the two when you copy a parameter set from there. At rest, u = 0 and
v = w = 1.
"""

from typing import NamedTuple

import numpy as np

from fwdecg.errors import TissueError


class Parameters(NamedTuple):
    """Constants of the cell model: times in ms, voltages on the dimensionless scale of u.

    A published set can be changed with `PARAMETER_SETS["FK-CAF"]._replace(tau_d=0.2)`.
    """

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


PARAMETER_SETS = {
    # Electrically remodelled atrium: Goodman et al., Europace 7:S135 (2005). The values are taken
    # from four public codes that agree, because the table of the article was not accessible.
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
    # Courtemanche human atrium, probably from Oliver & Krassowska (2005).
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


def require_valid(parameters: Parameters) -> None:
    """Raise TissueError if a parameter set cannot describe an excitable cell."""
    for name, value in parameters._asdict().items():
        lowest = 0.0 if name == "u_v" else np.nextafter(0.0, 1.0)
        highest = 1.0 if name.startswith("u_") else np.finfo(np.float32).max
        if not lowest <= value < highest:
            raise TissueError(
                f"{name} = {value}: must be {'at least' if name == 'u_v' else 'above'} 0 and "
                f"{'below 1' if highest == 1 else 'finite'}"
            )
    if parameters.u_v > parameters.u_c:
        raise TissueError(
            f"u_v = {parameters.u_v}: must be at most u_c = {parameters.u_c}, the threshold of "
            "excitation"
        )


class StepConstants(NamedTuple):
    """Constants of one time step of the compiled solver, in float32.

    Currents are in units of u per step. `close_*` is 1 - exp(-dt / tau), the fraction of its
    distance from the target that a gate covers in one step. In float32 exp(-dt / tau) itself would
    be too close to 1 to resolve slow gates.
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


def step_constants(parameters: Parameters, dt_ms: float) -> StepConstants:
    """Return the constants of one step of `dt_ms`."""
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
    return StepConstants(*(np.float32(value) for value in values))
