"""tanh as a rational function. Loops with a call of a library's tanh would not vectorise."""

import numpy as np

from fwdecg.kernels.compile import kernel

ZERO, ONE = np.float32(0), np.float32(1)

# tanh(x) = x P(x^2) / Q(x^2). The coefficients minimise the largest error on [-8, 8], which is
# 1.3e-7. P is then raised by 4e-7, so that the quotient reaches 1 at `TANH_BOUND`, where x is
# clamped. A cell at rest therefore has a slow inward current of exactly 0, and u = 0 is an exact
# fixed point. `one_plus_tanh` returns numerator and denominator separately, because a time step
# then needs only one division.
TANH_BOUND = np.float32(7.75)
P0, P1, P2, P3 = np.array([0.999999762, 0.129136454, 2.93882774e-03, 1.13102170e-05], np.float32)
Q1, Q2, Q3, Q4 = np.array([0.462467389, 2.37638223e-2, 2.37028315e-4, 2.42383789e-7], np.float32)


@kernel(inline=True)
def one_plus_tanh(x: np.float32) -> tuple[np.float32, np.float32]:
    """Return numerator and denominator of 1 + tanh(x); the absolute error is below 1e-6."""
    x = min(max(x, -TANH_BOUND), TANH_BOUND)
    z = x * x
    p = ((P3 * z + P2) * z + P1) * z + P0
    q = (((Q4 * z + Q3) * z + Q2) * z + Q1) * z + ONE
    return max(q + x * p, ZERO), q
