import numpy as np

from fwdecg.kernels.tanh import one_plus_tanh


def test_tanh_is_accurate_and_saturates_at_exactly_minus_one():
    x = np.linspace(-20, 20, 200_001).astype(np.float32)
    numerator, denominator = np.array([one_plus_tanh(value) for value in x]).T
    found = numerator / denominator
    np.testing.assert_allclose(found, 1 + np.tanh(x.astype(float)), rtol=0, atol=1e-6)
    assert found[0] == 0
