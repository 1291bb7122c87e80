import numpy as np
import pytest

from fwdecg.cases.random_field import NODES_PER_SMOOTHING_LENGTH, SPREAD, draw_texture


@pytest.fixture(scope="module")
def fields():
    """Ten fields of 600 independent areas each, so that moments stray by about 1 %."""
    return [draw_texture(np.random.default_rng(seed), 100.0, 1.0).values for seed in range(10)]


def test_the_spread_is_the_stated_one(fields):
    assert np.mean(fields) == pytest.approx(0.0, abs=0.02 * SPREAD)
    assert np.std(fields) == pytest.approx(SPREAD, rel=0.02)


@pytest.mark.parametrize("lengths", [1, 2, 3])
def test_the_correlation_is_a_gaussian_of_twice_the_variance(fields, lengths):
    lag = lengths * NODES_PER_SMOOTHING_LENGTH
    product = np.mean([(f[:, lag:] * f[:, :-lag]).mean() for f in fields])
    assert product / SPREAD**2 == pytest.approx(np.exp(-(lengths**2) / 4), abs=0.03)


@pytest.mark.parametrize(
    ("size_mm", "smoothing_length_mm"), [(10.0, 1.0), (10.0, 40.0), (7.3, 0.4)]
)
def test_the_lattice_covers_the_sheet(size_mm, smoothing_length_mm):
    texture = draw_texture(np.random.default_rng(0), size_mm, smoothing_length_mm)
    assert (len(texture.values) - 1) * texture.spacing_mm >= size_mm
    assert np.isfinite(texture.on_cells(50, size_mm)).all()
