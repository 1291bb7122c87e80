from dataclasses import replace

import numpy as np
import pytest

from fwdecg.cases.draw import draw_case
from fwdecg.cases.ellipses import draw_ellipses, mean_diameter_mm
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.cases.tissue_config import ELLIPSES, EllipsesConfig, TissueConfig
from fwdecg.errors import ConfigError
from fwdecg.physics.tissue import Ellipses

NEAR = RecordingConfig(electrodes_mm=((5.0, 5.0, 5.0),))
ELLIPTIC = LibraryConfig(tissue=TissueConfig(texture=ELLIPSES))


def ellipse(x_mm, y_mm, angle_deg):
    """One ellipse with half-axes of 4 and 2 mm."""
    return Ellipses(
        centres_mm=np.array([[x_mm, y_mm]]),
        half_axes_mm=np.array([[4.0, 2.0]]),
        angles_rad=np.radians([angle_deg]),
    )


def test_an_ellipse_by_hand():
    mask = ellipse(5.5, 5.5, 0).covers(11, 11.0)
    assert mask[5].sum() == 7  # cells whose centre is less than 4 mm away
    assert mask[:, 5].sum() == 3
    np.testing.assert_array_equal(ellipse(5.5, 5.5, 90).covers(11, 11.0), mask.T)


def test_the_angle_runs_from_right_to_down():
    mask = ellipse(10.0, 10.0, 45).covers(200, 20.0)
    rows, cols = np.nonzero(mask)
    assert np.corrcoef(rows, cols)[0, 1] > 0.5
    assert mask.sum() * 0.1**2 == pytest.approx(np.pi * 4 * 2, rel=0.01)


def test_an_ellipse_is_cut_at_the_edges():
    mask = ellipse(0.0, 20.0, 30).covers(400, 20.0)
    # A quarter of the ellipse and of its mirror image make up half of it.
    mirrored = ellipse(0.0, 20.0, -30).covers(400, 20.0)
    assert (mask.sum() + mirrored.sum()) * 0.05**2 == pytest.approx(np.pi * 4, rel=0.01)
    assert not ellipse(-5.0, 10.0, 0).covers(40, 20.0).any()


def test_ellipses_are_drawn_from_their_ranges():
    config = EllipsesConfig(number=(3, 5), aspect=(0.5, 0.6), angle_deg=(10.0, 20.0))
    numbers = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        drawn = draw_ellipses(rng, 50.0, half_axis_mm=(2.0, 3.0), config=config)
        longer, shorter = drawn.half_axes_mm.T
        assert 2.0 <= longer.min() <= longer.max() <= 3.0
        assert 0.5 <= (shorter / longer).min() <= (shorter / longer).max() <= 0.6
        assert (
            10.0 <= np.degrees(drawn.angles_rad).min() <= np.degrees(drawn.angles_rad).max() <= 20
        )
        assert 0 <= drawn.centres_mm.min() <= drawn.centres_mm.max() <= 50.0
        numbers.add(len(drawn.centres_mm))
    assert numbers == {3, 4, 5}


def test_the_mean_diameter_by_hand():
    assert mean_diameter_mm(ellipse(0.0, 0.0, 0)) == pytest.approx(2 * np.sqrt(8.0))


def test_the_recorded_fraction_is_that_of_the_sheet():
    for case_id in range(5):
        case = draw_case(ELLIPTIC, case_id)
        spec = case.spec
        scarred = ~case.sheet.rasterise(0.25).conducts
        assert scarred.mean() == pytest.approx(spec.patch_fraction, abs=0.002)
        low, high = {"healthy": (0.7, 4), "gap_junction": (0, 0)}.get(spec.condition, (5.6, 24))
        assert low <= spec.patch_size_mm <= high


def test_the_default_texture_has_the_same_cases_as_before():
    assert draw_case(LibraryConfig(), 2).spec.patch_fraction == 0.11548127978524937


def test_the_shift_of_the_patch_size():
    config = replace(ELLIPTIC, shifts=("patch_size",))
    for case_id in range(50, 55):
        sheet = draw_case(config, case_id).sheet
        assert sheet.scar.half_axes_mm[:, 0].min() >= 14
        assert sheet.scar.half_axes_mm[:, 0].max() <= 18


def test_a_shift_within_the_regular_range_is_refused():
    tissue = TissueConfig(
        texture=ELLIPSES, ellipses=EllipsesConfig(shifted_half_axis_mm=(10.0, 18.0))
    )
    with pytest.raises(
        ConfigError, match=r"tissue\.ellipses\.shifted_half_axis_mm = \[10\.0, 18\.0"
    ):
        LibraryConfig(tissue=tissue, shifts=("patch_size",))


def test_a_sheet_without_conducting_tissue_is_drawn_again():
    tissue = TissueConfig(
        size_mm=10.0,
        texture=ELLIPSES,
        ellipses=EllipsesConfig(number=(1, 4), large_half_axis_mm=(5.0, 12.0)),
    )
    specs = [
        draw_case(LibraryConfig(tissue=tissue, recording=NEAR), n).spec for n in range(2, 60, 5)
    ]
    assert max(spec.redraws for spec in specs) > 0
    assert all(spec.patch_fraction < 1 for spec in specs)


@pytest.mark.parametrize("number", [(0, 3), (6, 5), (1, 10**6)])
def test_impossible_ranges_are_refused(number):
    with pytest.raises(ConfigError, match=r"number = "):
        EllipsesConfig(number=number)
