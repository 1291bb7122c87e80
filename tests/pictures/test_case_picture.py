"""The picture of a case shows what the case contains, also for tissue at rest."""

import dataclasses
import io

import numpy as np
import pytest
from matplotlib.image import imread

from fwdecg.errors import CaseError, MapsError
from fwdecg.library.labelled_cases import load_cases
from fwdecg.pictures.case_picture import excited_frames, plot_case, plot_ecgs
from fwdecg.pictures.panels import ecg_r2, ecg_scale


@pytest.fixture
def case(library):
    return load_cases(library, [2])[0]


def ecg_panel(picture):
    (panel,) = [panel for panel in picture.axes if panel.get_xlabel() == "time (ms)"]
    return panel


def test_maps_and_ecg(case):
    picture = plot_case(case)
    images = [panel.images[0].get_array() for panel in picture.axes if panel.images]
    np.testing.assert_allclose(images[0], case.diffusivity_mm2_per_ms)
    activation = np.ma.filled(images[1].astype(float), np.nan)
    activated = np.isfinite(case.activation_ms)
    assert activated.mean() > 0.5
    np.testing.assert_allclose(activation[activated], case.activation_ms[activated])
    for image, frame in zip(images[2:7], excited_frames(case.u), strict=True):
        np.testing.assert_allclose(image.data[case.conducts], case.u[frame][case.conducts])
    panel = ecg_panel(picture)
    scale, unit = ecg_scale([case])
    assert panel.get_ylabel() == f"ECG, electrode 0 ({unit})"
    ecg = panel.lines[0].get_ydata() * scale
    np.testing.assert_allclose(ecg, case.phi_e_mm_per_ms[0], rtol=1e-6)
    assert panel.get_legend() is None
    assert [text.get_text() for text in panel.texts] == list("abcde")
    headings = {panel.get_title() for panel in picture.axes}
    assert {"D (mm$^2$/ms)", "activation time (ms)"} <= headings


def test_a_prediction_with_its_r2_and_a_legend_above_the_ecg(case):
    predicted = 0.9 * case.phi_e_mm_per_ms
    picture = plot_case(case, predicted)
    r2 = ecg_r2(predicted, case.phi_e_mm_per_ms)
    assert f", $R^2$ = {r2:.3f};" in picture.get_suptitle()
    panel = ecg_panel(picture)
    lines = panel.lines[:2]
    np.testing.assert_allclose(lines[1].get_ydata(), 0.9 * lines[0].get_ydata(), rtol=1e-5)
    picture.canvas.draw()
    lowest = panel.get_legend().get_window_extent().y0
    assert lowest > max(line.get_window_extent().y1 for line in lines)


def test_any_electrode_can_be_shown(case):
    panel = ecg_panel(plot_case(case, electrode=1))
    scale, unit = ecg_scale([case], 1)
    assert panel.get_ylabel() == f"ECG, electrode 1 ({unit})"
    shown = panel.lines[0].get_ydata() * scale
    np.testing.assert_allclose(shown, case.phi_e_mm_per_ms[1], rtol=1e-6)
    with pytest.raises(CaseError, match="electrode = 2: must be a whole number from 0 to 1"):
        plot_case(case, electrode=2)


def test_all_ecgs_on_a_common_scale(case):
    predicted = 0.9 * case.phi_e_mm_per_ms
    picture = plot_ecgs(case, predicted)
    first, second = picture.axes
    largest = int(np.abs(case.phi_e_mm_per_ms).max(axis=1).argmax())
    scale, _ = ecg_scale([case], largest)
    for electrode, panel in enumerate((first, second)):
        true, dashed = (line.get_ydata() * scale for line in panel.lines)
        np.testing.assert_allclose(true, case.phi_e_mm_per_ms[electrode], rtol=1e-6)
        np.testing.assert_allclose(dashed, predicted[electrode], rtol=1e-6)
    assert first.get_ylim() == second.get_ylim()
    assert first.get_title() == "electrode 0: 4, 4, 3 mm"


def test_a_prediction_of_another_shape_is_refused(case):
    with pytest.raises(MapsError, match=r"shape \(1, 2, 20\): must be .* = \(2, 20\); .*\[0\]"):
        plot_case(case, case.phi_e_mm_per_ms[None])


def test_a_prediction_may_be_a_list(case):
    panel = ecg_panel(plot_case(case, case.phi_e_mm_per_ms.tolist()))
    true, predicted = (line.get_ydata() for line in panel.lines[:2])
    np.testing.assert_allclose(predicted, true, rtol=1e-6)


def test_a_notebook_displays_it(case):
    pixels = imread(io.BytesIO(plot_case(case)._repr_png_()))[..., :3]
    assert 0.01 < (pixels < 0.9).any(axis=-1).mean() < 0.9


def test_tissue_at_rest(case):
    resting = dataclasses.replace(
        case, u=np.zeros_like(case.u), phi_e_mm_per_ms=np.zeros_like(case.phi_e_mm_per_ms)
    )
    assert not ecg_panel(plot_case(resting)).lines[0].get_ydata().any()


def test_frames_span_the_time_of_excitation():
    u = np.zeros((40, 4, 4))
    u[10:31] = np.sin(np.pi * np.linspace(0.1, 0.9, 21))[:, None, None]
    assert excited_frames(u) == [10, 15, 20, 25, 30]
    assert excited_frames(u[12:15]) == [0, 1, 2]
