import numpy as np
import pytest

from fwdecg.errors import TissueError
from fwdecg.physics.stimulus import (
    Rectangle,
    Stimulus,
    cross_field,
    focal,
    planar,
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
