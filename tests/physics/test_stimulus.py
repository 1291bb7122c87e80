import numpy as np
import pytest

from fwdecg.errors import TissueError
from fwdecg.physics.stimulus import (
    Rectangle,
    Stimulus,
    cross_field,
    focal,
    pacing_train,
    planar,
    s1_s2,
    stimulated_cells,
)
from fwdecg.physics.tissue import Tissue


def square(cells=10):
    return Tissue(spacing_mm=1.0, diffusivity_mm2_per_ms=np.full((cells, cells), 0.1))


def test_a_plane_wave_starts_in_the_left_columns():
    (stimulus,) = planar()
    cells = stimulated_cells(stimulus, square())
    assert cells[:, :2].all()
    assert not cells[:, 2:].any()


def test_a_plane_wave_from_the_top_is_its_transpose():
    (left,), (top,) = planar(3.0), planar(3.0, edge="top")
    cells = stimulated_cells(top, square())
    np.testing.assert_array_equal(cells, stimulated_cells(left, square()).T)
    assert top.start_ms == 3.0


def test_a_focal_stimulus_is_a_disc():
    (stimulus,) = focal(7.5, 2.5)
    cells = stimulated_cells(stimulus, square())
    assert cells[2, 7]  # row is y, column is x
    assert not cells[7, 2]
    assert cells.sum() * 1.0 == pytest.approx(np.pi * 3.0**2 - 3, abs=4)  # the upper edge cuts it


def test_cross_field_stimulates_the_left_edge_and_later_the_lower_left_quarter():
    first, second = cross_field(10.0, 90.0)
    cells = stimulated_cells(second, square())
    assert (first.start_ms, second.start_ms) == (0.0, 90.0)
    assert cells[5:, :5].all()
    assert cells.sum() == 25


def test_scars_are_not_stimulated_and_a_region_without_tissue_is_rejected():
    diffusivity = np.full((10, 10), 0.1)
    diffusivity[:5, :3] = 0
    tissue = Tissue(spacing_mm=1.0, diffusivity_mm2_per_ms=diffusivity)
    assert stimulated_cells(planar()[0], tissue).sum() == 10
    upper_left = Stimulus(region=Rectangle(right_mm=2.0, bottom_mm=4.0))
    with pytest.raises(TissueError, match="no conducting cell lies in the stimulated region"):
        stimulated_cells(upper_left, tissue)


@pytest.mark.parametrize(("start_ms", "duration_ms"), [(-1.0, 1.0), (0.0, 0.0), (0.0, np.nan)])
def test_invalid_times_are_rejected(start_ms, duration_ms):
    with pytest.raises(TissueError, match="must start at 0 or later and last longer than 0"):
        Stimulus(region=Rectangle(), start_ms=start_ms, duration_ms=duration_ms)


def rectangle(rows=6, cols=10):
    return Tissue(spacing_mm=1.0, diffusivity_mm2_per_ms=0.1, shape=(rows, cols))


@pytest.mark.parametrize(
    ("edge", "cells"),
    [
        ("left", np.s_[:, :2]),
        ("right", np.s_[:, -2:]),
        ("top", np.s_[:2]),
        ("bottom", np.s_[-2:]),
    ],
)
def test_a_strip_lies_along_its_edge_of_a_rectangle(edge, cells):
    expected = np.zeros((6, 10), bool)
    expected[cells] = True
    found = stimulated_cells(Stimulus.strip(edge, width_mm=2.0), rectangle())
    np.testing.assert_array_equal(found, expected)


def test_a_mask_stimulates_its_cells_on_any_raster():
    mask = np.zeros((3, 5), bool)
    mask[1, 3] = True
    found = stimulated_cells(Stimulus.mask(mask, spacing_mm=2.0), rectangle())
    assert np.argwhere(found).tolist() == [[2, 6], [2, 7], [3, 6], [3, 7]]
    small = Stimulus.mask(mask[:2, :4], spacing_mm=2.0)  # it need not cover the sheet
    np.testing.assert_array_equal(stimulated_cells(small, rectangle()), found)


@pytest.mark.parametrize(("shape", "spacing_mm"), [((10, 6), 1.0), ((6, 10), 2.0)])
def test_a_mask_with_swapped_axes_or_other_cells_is_rejected(shape, spacing_mm):
    stimulus = Stimulus.mask(np.ones(shape), spacing_mm=spacing_mm)
    with pytest.raises(TissueError, match="a mask of .* on a sheet of 10 x 6 mm: it must lie on"):
        stimulated_cells(stimulus, rectangle())


def test_regions_can_be_given_in_the_call():
    disc = Stimulus.disc(x_mm=7.5, y_mm=2.5, radius_mm=3.0, start_ms=4.0, duration_ms=2.0)
    assert disc == Stimulus(region=focal(7.5, 2.5)[0].region, start_ms=4.0, duration_ms=2.0)
    found = stimulated_cells(Stimulus.rectangle(left_mm=3, right_mm=5, bottom_mm=2), rectangle())
    assert np.argwhere(found).tolist() == [[0, 3], [0, 4], [1, 3], [1, 4]]


def test_trains_of_stimuli():
    first = Stimulus.strip("left", start_ms=10.0)
    train = pacing_train(first, [300.0, 250.0])
    assert [each.start_ms for each in train] == [10.0, 310.0, 560.0]
    assert {each.region for each in train} == {first.region}
    protocol = s1_s2(first, s1_ms=400.0, s1_count=3, s2_ms=200.0)
    assert [each.start_ms for each in protocol] == [10.0, 410.0, 810.0, 1010.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Stimulus.strip(edge="middle"), "edge = 'middle': must be one of left, right, top"),
        (lambda: Stimulus.mask(np.zeros(3), spacing_mm=1.0), r"a mask of shape \(3,\) .* truth"),
        (lambda: Stimulus.mask([[2]], spacing_mm=1.0), "must be an array .* truth values"),
        (lambda: Stimulus.strip("top", amplitude_per_ms=0.0), "amplitude_per_ms = 0.0: must be"),
        (lambda: pacing_train(planar()[0], [0.5]), "a cycle length of 0.5 ms: must be above"),
        (lambda: s1_s2(planar()[0], s1_ms=300, s1_count=0, s2_ms=200), "s1_count = 0: must be a"),
        (lambda: Stimulus.mask(np.zeros((0, 2)), spacing_mm=1.0), r"a mask of shape \(0, 2\)"),
        (lambda: Stimulus.disc(x_mm=np.nan, y_mm=1, radius_mm=1), "all numbers finite"),
        (lambda: Stimulus.disc(x_mm=1, y_mm=1, radius_mm=-3), "a disc of radius -3 mm"),
        (lambda: Stimulus.rectangle(left_mm=5, right_mm=1), "left must be at most right"),
        (lambda: Stimulus.strip("left", width_mm=-1), "width_mm = -1: must be above 0"),
    ],
)
def test_invalid_stimuli_are_rejected(make, message):
    with pytest.raises(TissueError, match=message):
        make()
