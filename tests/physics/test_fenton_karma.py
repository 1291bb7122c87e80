import numpy as np
import pytest

from fwdecg.physics.fenton_karma import (
    PUBLISHED,
    Coupling,
    State,
    advance,
    ionic_gain,
    rates,
    tanh,
)

DT_MS = 0.02
SETS = pytest.mark.parametrize("name", PUBLISHED)


def currents(u, v, w, p):
    """J_fi + J_so + J_si in float64, written as the article has them."""
    excited = np.where(u >= p.u_c, 1.0, 0.0)
    j_fi = -v * excited * (1 - u) * (u - p.u_c) / p.tau_d
    j_so = u * (1 - excited) / p.tau_0 + excited / p.tau_r
    j_si = -w * (1 + np.tanh(p.k * (u - p.u_csi))) / (2 * p.tau_si)
    return j_fi + j_so + j_si


def gates(u, v, w, p, dt_ms):
    """v and w after dt_ms at constant u, by the exact solution of their equations."""
    excited = u >= p.u_c
    tau_v_minus = np.where(u >= p.u_v, p.tau_v1, p.tau_v2)
    fall_v, fall_w = np.exp(-dt_ms / p.tau_v_plus), np.exp(-dt_ms / p.tau_w_plus)
    rise_v, rise_w = np.exp(-dt_ms / tau_v_minus), np.exp(-dt_ms / p.tau_w_minus)
    return (
        np.where(excited, v * fall_v, 1 - (1 - v) * rise_v),
        np.where(excited, w * fall_w, 1 - (1 - w) * rise_w),
    )


def random_sheet(rows, cols, seed=0):
    """State and coupling with a rim, and the same as plain float64 arrays."""
    rng = np.random.default_rng(seed)
    u, v, w = rng.uniform(-0.05, 1.05, (rows, cols)), *rng.random((2, rows, cols))
    conducts = rng.random((rows, cols)) > 0.2
    right = 0.1 * (conducts[:, :-1] & conducts[:, 1:])
    down = 0.1 * (conducts[:-1] & conducts[1:])
    fields = [np.pad(f, 1).astype(np.float32) for f in (u, v, w)]
    state = State(
        u=fields[0].ravel(),
        u_next=np.zeros(fields[0].size, np.float32),
        v=fields[1].ravel(),
        w=fields[2].ravel(),
    )
    coupling = Coupling(
        right=np.pad(right, ((1, 1), (1, 2))).astype(np.float32).ravel(),
        down=np.pad(down, ((1, 2), (1, 1))).astype(np.float32).ravel(),
        stride=cols + 2,
    )
    return state, coupling, (u, v, w, right, down)


def slow_step(u, v, w, right, down, p, dt_ms):
    """The kernel's twin: whole arrays, float64, no tricks."""
    spread = np.zeros_like(u)
    spread[:, :-1] += right * np.diff(u, axis=1)
    spread[:, 1:] -= right * np.diff(u, axis=1)
    spread[:-1] += down * np.diff(u, axis=0)
    spread[1:] -= down * np.diff(u, axis=0)
    new_v, new_w = gates(u, v, w, p, dt_ms)
    return u + spread - dt_ms * currents(u, v, w, p), new_v, new_w


@SETS
def test_the_kernel_agrees_with_a_slow_twin(name):
    p = PUBLISHED[name]
    state, coupling, (u, v, w, right, down) = random_sheet(13, 29)
    for _ in range(20):
        u, v, w = slow_step(u, v, w, right, down, p, DT_MS)
    after = advance(state, coupling, rates(p, DT_MS), 20)
    inside = [f.reshape(15, 31)[1:-1, 1:-1] for f in (after.u, after.v, after.w)]
    # Twenty steps of float32 rounding, 6e-8 each, most of which the upstroke damps.
    for found, expected in zip(inside, (u, v, w), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=3e-6)


@SETS
def test_rest_is_a_fixed_point(name):
    p = PUBLISHED[name]
    rest = np.zeros(42, np.float32)
    state = State(u=rest.copy(), u_next=rest.copy(), v=rest + 1, w=rest + 1)
    coupling = Coupling(right=rest + np.float32(0.1), down=rest + np.float32(0.1), stride=7)
    after = advance(state, coupling, rates(p, DT_MS), 100)
    assert not after.u.any()
    assert (after.v == 1).all()
    assert (after.w == 1).all()


def test_tanh_is_accurate_everywhere():
    x = np.linspace(-20, 20, 200_001).astype(np.float32)
    found = np.array([tanh(value) for value in x])
    np.testing.assert_allclose(found, np.tanh(x.astype(float)), rtol=0, atol=1e-6)
    assert found.min() == -1
    assert found.max() == 1


def test_the_convention_of_1998():
    # Between u_v and u_c the gate v recovers with tau_v1, below u_v with tau_v2.
    p = PUBLISHED["FK-CAF"]
    r = rates(p, 1.0)
    assert r.close_v1 == np.float32(1 - np.exp(-1 / 60.0))
    assert r.close_v2 == np.float32(1 - np.exp(-1 / 82.5))


def test_currents_at_hand_computed_points():
    p = PUBLISHED["FK-CAF"]
    r = rates(p, 1.0)
    at_rest = ionic_gain(np.float32(0.1), np.float32(1), np.float32(0), r)
    assert at_rest == pytest.approx(-0.1 / 32.5, rel=1e-6)
    excited = ionic_gain(np.float32(0.5), np.float32(1), np.float32(0), r)
    assert excited == pytest.approx(0.5 * 0.34 / 0.125 - 1 / 70, rel=1e-5)
    slow = ionic_gain(np.float32(0.85), np.float32(0), np.float32(1), r)
    assert slow == pytest.approx(1 / (2 * 114) - 1 / 70, rel=1e-5)


def test_a_value_that_is_not_finite_stays_visible():
    state, coupling, _ = random_sheet(5, 5)
    state.u[16] = np.nan
    after = advance(state, coupling, rates(PUBLISHED["FK-CAF"], DT_MS), 1)
    assert np.isnan(after.u).any()
