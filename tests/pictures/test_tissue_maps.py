"""Maps of a tissue: a front of known speed, tissue it never reaches, and patches."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from fwdecg.cases.recorded_case import TissueMaps
from fwdecg.pictures.tissue_maps import (
    NEVER_MS,
    draw_activation,
    draw_isochrones,
    draw_voltage,
    highest_diffusivity,
)

FRAMES, SIDE = 20, 8


def front(reached: int = SIDE) -> TissueMaps:
    """A front that starts at the left and moves by a pixel a frame; one patch in the middle."""
    u = (np.arange(SIDE) < np.arange(FRAMES)[:, None]).astype(np.float16)
    u[:, reached:] = 0.0
    diffusivity = np.full((SIDE, SIDE), 0.1, np.float32)
    diffusivity[3:5, 3:5] = 0.0
    conducts = diffusivity > 0
    u = u[:, None, :].repeat(SIDE, 1) * conducts
    return TissueMaps(
        u=u.astype(np.float16),
        diffusivity_mm2_per_ms=diffusivity,
        conducting_share=conducts.astype(np.float32),
        map_spacing_mm=2.0,
        frame_interval_ms=5.0,
    )


def test_activation_times_are_those_of_the_front() -> None:
    maps = front()
    times = maps.activation_ms
    assert np.isnan(times[3:5, 3:5]).all()
    # u jumps from 0 to 1 between frames `col` and `col + 1`: it is one half in the middle of them.
    np.testing.assert_allclose(times[0], 5.0 * (np.arange(SIDE) + 0.5))
    assert maps.latest_activation_ms == pytest.approx(37.5)


def test_a_pixel_half_of_tissue_activates_with_it() -> None:
    maps = front()
    half = np.where(np.arange(SIDE) == 5, 0.5, 1.0).astype(np.float32)
    rim = replace(
        maps,
        u=(maps.u * half).astype(np.float16),
        diffusivity_mm2_per_ms=maps.diffusivity_mm2_per_ms * half,
        conducting_share=maps.conducting_share * half,
    )
    np.testing.assert_allclose(rim.activation_ms, maps.activation_ms)


def test_where_d_is_small_a_pixel_is_still_all_tissue() -> None:
    maps = front()
    slope = np.linspace(0.01, 1.0, SIDE, dtype=np.float32)
    varied = replace(maps, diffusivity_mm2_per_ms=maps.diffusivity_mm2_per_ms * slope)
    np.testing.assert_array_equal(varied.activation_ms, maps.activation_ms)


def test_tissue_that_is_never_reached_differs_from_patches() -> None:
    maps = front(reached=6)
    image = draw_activation(Figure().subplots(), maps, maps.latest_activation_ms)
    drawn = np.ma.asarray(image.get_array())
    assert drawn.mask.sum() == 4
    assert (drawn[:, 6:] == NEVER_MS).all()
    colours = image.to_rgba(drawn)
    np.testing.assert_allclose(colours[0, 7], 1.0)
    np.testing.assert_allclose(colours[3, 3, :3], 0.65)


@pytest.mark.parametrize(("reached", "lines"), [(SIDE, 3), (4, 1), (1, 0), (0, 0)])
def test_isochrones_up_to_the_last_activation(reached: int, lines: int) -> None:
    panel = Figure().subplots()
    draw_isochrones(panel, front(reached), 10.0)
    drawn = [path for own in panel.collections for path in own.get_paths() if len(path)]
    assert len(drawn) == lines


def test_images_lie_over_the_sheet_in_mm() -> None:
    maps = front()
    image = draw_voltage(Figure().subplots(), maps, 3)
    assert image.get_extent() == [0, 16, 16, 0]
    np.testing.assert_array_equal(np.ma.filled(image.get_array()[0], np.nan), maps.u[3, 0])


def test_the_scale_of_d_suits_all_cases() -> None:
    maps = front()
    faster = replace(maps, diffusivity_mm2_per_ms=2 * maps.diffusivity_mm2_per_ms)
    assert highest_diffusivity(maps) == pytest.approx(0.1)
    assert highest_diffusivity(maps, faster) == pytest.approx(0.2)
