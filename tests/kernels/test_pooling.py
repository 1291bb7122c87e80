"""Rounding and accuracy of the kernels; tests/model compares the layer with torch."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fwdecg.kernels.pooling import image_gradient, moments

FLOATS = st.floats(width=32, allow_nan=False)


@given(arrays(np.float32, (1, 2, 2, 3), elements=FLOATS))
def test_results_are_rounded_to_bfloat16_like_torch(constants: np.ndarray) -> None:
    """With factor and slope 0 the result is the constant, rounded."""
    images = torch.ones(1, 2, 2, 3, dtype=torch.bfloat16).view(torch.uint16).numpy()
    pooled = np.zeros((1, 1, 1, 3), np.uint16)
    places = np.zeros(pooled.shape, np.uint8)
    result = np.empty_like(images)
    for row in range(2):
        for column in range(2):
            constant = constants[0, row, column] + 0.0  # addition turns -0.0 into 0.0
            coefficients = np.stack((np.zeros(3), np.zeros(3), constant)).astype(np.float32)
            image_gradient(images, pooled, pooled, places, coefficients, result)
            expected = torch.from_numpy(constant).bfloat16().view(torch.uint16).numpy()
            np.testing.assert_array_equal(result[0, row, column], expected)


def test_moments_are_accurate_for_a_large_mean() -> None:
    rng = np.random.default_rng(1)
    images = (rng.normal(size=(7, 5, 6, 2)) + np.array([0.0, 1000.0])).astype(np.float32)
    totals = np.empty((2, 2))
    moments(images, totals)
    exact = images.astype(np.float64)
    np.testing.assert_allclose(totals[0], exact.mean((0, 1, 2)), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(totals[1], exact.var((0, 1, 2)), rtol=1e-4)
