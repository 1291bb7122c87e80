"""Maps of a front of known speed, of tissue that it never reaches and of patches; ECG scales."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.pictures.panels import (
    NEVER_MS,
    add_activation,
    add_isochrones,
    add_voltage,
    diffusivity_limit,
    ecg_r2,
    ecg_scale,
)

FRAMES, SIDE = 20, 8


def front(columns: int = SIDE) -> RecordedCase:
    """Front that starts at the left and advances by a pixel each frame; a patch in the middle."""
    u = (np.arange(SIDE) < np.arange(FRAMES)[:, None]).astype(np.float16)
    u[:, columns:] = 0.0
    diffusivity = np.full((SIDE, SIDE), 0.1, np.float32)
    diffusivity[3:5, 3:5] = 0.0
    conducts = diffusivity > 0
    u = u[:, None, :].repeat(SIDE, 1) * conducts
    return RecordedCase(
        case_id=0,
        condition="fibrosis",
        bulk_diffusivity_mm2_per_ms=0.1,
        u=u.astype(np.float16),
        diffusivity_mm2_per_ms=diffusivity,
        conducting_fraction=conducts.astype(np.float32),
        map_spacing_mm=2.0,
        frame_interval_ms=5.0,
        phi_e_mm_per_ms=np.zeros((1, FRAMES), np.float32),
        electrodes_mm=np.zeros((1, 3)),
    )


def test_tissue_that_never_activates_looks_different_from_patches():
    case = front(columns=6)
    image = add_activation(Figure().subplots(), case, case.latest_activation_ms)
    drawn = np.ma.asarray(image.get_array())
    assert drawn.mask.sum() == 4
    assert (drawn[:, 6:] == NEVER_MS).all()
    colours = image.to_rgba(drawn)
    np.testing.assert_allclose(colours[0, 7], 1.0)
    np.testing.assert_allclose(colours[3, 3, :3], 0.65)


@pytest.mark.parametrize(("columns", "lines"), [(SIDE, 3), (4, 1), (1, 0), (0, 0)])
def test_isochrones_end_at_the_latest_activation(columns, lines):
    panel = Figure().subplots()
    add_isochrones(panel, front(columns), 10.0)
    drawn = [path for each in panel.collections for path in each.get_paths() if len(path)]
    assert len(drawn) == lines


def test_maps_cover_the_sheet_in_mm():
    case = front()
    image = add_voltage(Figure().subplots(), case, 3)
    assert image.get_extent() == [0, 16, 16, 0]
    np.testing.assert_array_equal(np.ma.filled(image.get_array()[0], np.nan), case.u[3, 0])


def test_the_scale_of_d_suits_all_cases():
    case = front()
    faster = replace(case, diffusivity_mm2_per_ms=2 * case.diffusivity_mm2_per_ms)
    assert diffusivity_limit([case]) == pytest.approx(0.1)
    assert diffusivity_limit([case, faster]) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("largest", "scale", "unit"),
    [
        (0.0023, 1e-3, "10$^{-3}$ mm/ms"),
        (1.9e-4, 1e-6, "10$^{-6}$ mm/ms"),
        (20.0, 1.0, "mm/ms"),
        (5e4, 1e3, "10$^{3}$ mm/ms"),
        (0.0, 1.0, "mm/ms"),
    ],
)
def test_the_scale_of_an_ecg_follows_the_first_electrode(largest, scale, unit):
    phi_e = np.full((2, FRAMES), 1e9, np.float32)
    phi_e[0] = np.linspace(0, -largest, FRAMES)
    case = replace(front(), phi_e_mm_per_ms=phi_e, electrodes_mm=np.zeros((2, 3)))
    assert ecg_scale([case]) == (pytest.approx(scale), unit)


def test_r2_is_the_mean_over_electrodes():
    # Squares about the means of (-1, 0, 1) and (0, 0, 6): 2 and 24; squared errors 1 and 9.
    true = np.array([[-1.0, 0, 1], [0, 0, 6]])
    predicted = np.array([[-1.0, 0, 2], [0, 3, 6]])
    assert ecg_r2(predicted, true) == pytest.approx((1 - 1 / 2 + 1 - 9 / 24) / 2)


def test_r2_of_a_constant_ecg_is_one_or_zero():
    true = np.ones((2, 3))
    assert ecg_r2(np.array([[1.0, 1, 1], [1, 1, 2]]), true) == 0.5
