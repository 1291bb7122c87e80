"""What maps show: rest, height, noise, activity; and what is refused, rescaled or reported."""

import numpy as np
import pytest

from fwdecg.errors import MapsError
from fwdecg.maps.map_quality import USUAL_PEAK, MapQuality

FRAMES, SIDE = 40, 20


def front(reached=SIDE):
    """Plane front that advances a pixel each frame as far as `reached`, from rest."""
    column, frame = np.arange(SIDE), np.arange(FRAMES)[:, None]
    u = ((column < frame) & (column < reached)) * USUAL_PEAK
    return np.repeat(u[:, None], SIDE, axis=1).astype(np.float32)


def test_maps_like_those_of_a_library_have_no_problem():
    quality = MapQuality.of(front())
    assert (quality.rest, quality.noise, quality.active_at_start) == (0.0, 0.0, 0.0)
    assert quality.activated_fraction == 1.0
    assert quality.problems == []
    assert not quality.rescales


@pytest.mark.parametrize(("scale", "rest"), [(0.9, 0.0), (0.6, 0.1), (1.2, 0.0), (1.0, -0.1)])
def test_rest_and_height_are_found_and_removed(scale, rest):
    u = front() * scale + rest
    quality = MapQuality.of(u)
    assert quality.rescales
    np.testing.assert_allclose(quality.rescaled(u), front(), atol=1e-6)
    (problem,) = quality.problems
    assert "and was rescaled" in problem


@pytest.mark.parametrize("scale", [0.98, 1.02])
def test_small_deviations_are_left_alone(scale):
    assert not MapQuality.of(front() * scale).rescales


def test_noise_is_measured():
    noise = 0.05 * np.random.default_rng(0).standard_normal((FRAMES, SIDE, SIDE))
    quality = MapQuality.of(front() + noise)
    assert quality.noise == pytest.approx(0.05, rel=0.1)
    assert any("noise of standard deviation" in problem for problem in quality.problems)


def test_a_record_that_starts_inside_an_activation_is_reported():
    u = np.roll(front(), -10, axis=0)
    quality = MapQuality.of(u)
    assert quality.active_at_start == pytest.approx(0.5)
    assert quality.rest == 0.0
    assert "50% of the pixels are active in the first frame" in quality.problems[0]


def test_a_wave_that_reaches_little_is_reported():
    (problem,) = MapQuality.of(front(reached=3)).problems
    assert problem == "a wave reaches only 15% of the pixels"


@pytest.mark.parametrize("u", [0 * front(), 0 * front() + 1, front() * 0.1 - 0.085, front() * 0.3])
def test_maps_without_a_wave_and_maps_in_volts_are_refused(u):
    with pytest.raises(MapsError, match="a wave must rise by about 1; scale the voltage") as caught:
        MapQuality.of(u)
    assert "\n" not in str(caught.value)
