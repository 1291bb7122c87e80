import numpy as np
import pytest

from fwdecg.physics.fenton_karma import PARAMETER_SETS, step_constants


def test_v_recovers_by_the_convention_of_1998():
    # v recovers with tau_v1 between u_v and u_c, and with tau_v2 below u_v.
    p = PARAMETER_SETS["FK-CAF"]
    r = step_constants(p, 1.0)
    assert r.close_v1 == np.float32(1 - np.exp(-1 / 60.0))
    assert r.close_v2 == np.float32(1 - np.exp(-1 / 82.5))


@pytest.mark.parametrize("name", PARAMETER_SETS)
def test_constants_of_slow_gates_are_accurate_in_float32(name):
    p, dt_ms = PARAMETER_SETS[name], 1e-3
    r = step_constants(p, dt_ms)
    assert r.close_w_minus == pytest.approx(dt_ms / p.tau_w_minus, rel=1e-4)
    assert r.slow_inward == pytest.approx(dt_ms / (2 * p.tau_si), rel=1e-6)
