import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.cases.diffusivity_variation import draw_variation
from fwdecg.physics.tissue import Sheet

LENGTH_MM = 4.0


def sheet(seed, amplitude, size_mm=100.0):
    rng = np.random.default_rng(seed)
    variation = draw_variation(rng, size_mm, amplitude=amplitude, length_mm=LENGTH_MM)
    return Sheet(size_mm=size_mm, diffusivity_mm2_per_ms=0.05, variation=variation)


def departures(seed, spacing_mm=1.0):
    return sheet(seed, 0.5).rasterise(spacing_mm).diffusivity_mm2_per_ms / 0.05 - 1


def test_departures_are_spread_evenly():
    # Eight sheets of about 200 independent areas: a quantile strays by 0.01 of the range.
    found = np.quantile([departures(seed) for seed in range(8)], (0.1, 0.25, 0.5, 0.75, 0.9))
    np.testing.assert_allclose(found, [-0.4, -0.25, 0.0, 0.25, 0.4], atol=0.04)


def test_the_length_is_that_of_the_correlation():
    # Correlation r of two normal variables is (6 / pi) asin(r / 2) of their even ones.
    fields = [departures(seed) for seed in range(8)]
    lag = int(LENGTH_MM)
    product = np.mean([(f[:, lag:] * f[:, :-lag]).mean() for f in fields])
    expected = 6 / np.pi * np.arcsin(np.exp(-1) / 2)
    assert product / (0.5**2 / 3) == pytest.approx(expected, abs=0.05)


@given(seed=st.integers(0, 999), amplitude=st.floats(0.0, 0.99), size_mm=st.floats(3.0, 30.0))
def test_d_stays_within_the_bounds(seed, amplitude, size_mm):
    varied = sheet(seed, amplitude, size_mm)
    lowest, highest = varied.diffusivity_bounds_mm2_per_ms
    diffusivity = varied.rasterise(0.5).diffusivity_mm2_per_ms
    assert 0 < lowest <= diffusivity.min()
    assert diffusivity.max() <= highest * (1 + 1e-12)


def test_the_raster_does_not_matter():
    coarse, fine = departures(3, 0.5), departures(3, 0.25)
    means = fine.reshape(200, 2, 200, 2).mean(axis=(1, 3))
    # At a node, 0.67 mm from the next, the slope changes by about 0.5 (2 / 4)^2 0.67 = 0.08 per mm;
    # in the middle of a coarse cell that comes to 0.08 0.125 / 2 = 0.005, in both directions twice.
    np.testing.assert_allclose(means, coarse, atol=0.02)
