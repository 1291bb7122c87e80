"""The picture of a case: what is drawn is what the case holds, also where nothing happens."""

import dataclasses
import io

import numpy as np
import pytest
from matplotlib.image import imread

from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.errors import MapsError
from fwdecg.library.labelled_cases import load_cases
from fwdecg.library.reader import Library
from fwdecg.pictures.case_picture import frames_shown, plot_case, r2_of
from fwdecg.pictures.ecg_panel import ecg_scale


@pytest.fixture
def case(library: Library) -> RecordedCase:
    return load_cases(library, [2])[0]


def ecg_panel(picture):
    (panel,) = [panel for panel in picture.axes if panel.get_xlabel() == "time (ms)"]
    return panel


def test_its_maps_and_its_ecg(case: RecordedCase) -> None:
    picture = plot_case(case)
    images = [panel.images[0].get_array() for panel in picture.axes if panel.images]
    np.testing.assert_allclose(images[0], case.diffusivity_mm2_per_ms)
    activation = np.ma.filled(images[1].astype(float), np.nan)
    activated = np.isfinite(case.activation_ms)
    assert activated.mean() > 0.5
    np.testing.assert_allclose(activation[activated], case.activation_ms[activated])
    for image, frame in zip(images[2:7], frames_shown(case.u), strict=True):
        conducts = case.maps.conducts
        np.testing.assert_allclose(image.data[conducts], case.u[frame][conducts])
    panel = ecg_panel(picture)
    scale, unit = ecg_scale([case])
    assert panel.get_ylabel() == f"ECG 1 of 2 ({unit})"
    ecg = panel.lines[0].get_ydata() * scale
    np.testing.assert_allclose(ecg, case.phi_e_mm_per_ms[0], rtol=1e-6)
    assert panel.get_legend() is None
    assert [text.get_text() for text in panel.texts] == list("abcde")
    headings = [panel.get_title() for panel in picture.axes]
    assert "D (mm$^2$/ms)" in headings
    assert "activation time (ms)" in headings


def test_a_prediction_over_it(case: RecordedCase) -> None:
    picture = plot_case(case, 0.9 * case.phi_e_mm_per_ms)
    panel = ecg_panel(picture)
    true, predicted = (line.get_ydata() for line in panel.lines[:2])
    np.testing.assert_allclose(predicted, 0.9 * true, rtol=1e-5)
    r2 = r2_of(0.9 * case.phi_e_mm_per_ms, case)
    assert f", $R^2$ = {r2:.3f};" in picture.get_suptitle()


def test_the_legend_is_above_the_ecg(case: RecordedCase) -> None:
    picture = plot_case(case, 0.9 * case.phi_e_mm_per_ms)
    picture.canvas.draw()
    panel = ecg_panel(picture)
    lowest = panel.get_legend().get_window_extent().y0
    highest = max(line.get_window_extent().y1 for line in panel.lines[:2])
    assert lowest > highest


def test_r2_is_that_of_every_electrode_and_of_no_unit(case: RecordedCase) -> None:
    true = case.phi_e_mm_per_ms.astype(np.float64)
    predicted = true * [[0.9], [1.2]]
    parts = [
        1 - np.sum((a - b) ** 2) / np.sum((b - b.mean()) ** 2)
        for a, b in zip(predicted, true, strict=True)
    ]
    assert r2_of(predicted, case) == pytest.approx(np.mean(parts))


def test_a_prediction_of_another_shape(case: RecordedCase) -> None:
    with pytest.raises(MapsError, match=r"shape \(1, 2, 20\): must be .* = \(2, 20\); .*\[0\]"):
        plot_case(case, case.phi_e_mm_per_ms[None])


def test_a_notebook_shows_it(case: RecordedCase) -> None:
    pixels = imread(io.BytesIO(plot_case(case)._repr_png_()))[..., :3]
    assert 0.01 < (pixels < 0.9).any(axis=-1).mean() < 0.9


def test_tissue_at_rest(case: RecordedCase) -> None:
    still = dataclasses.replace(case.maps, u=np.zeros_like(case.u))
    resting = dataclasses.replace(
        case, maps=still, phi_e_mm_per_ms=np.zeros_like(case.phi_e_mm_per_ms)
    )
    assert not ecg_panel(plot_case(resting)).lines[0].get_ydata().any()


def test_frames_are_those_of_the_excitation() -> None:
    u = np.zeros((40, 4, 4))
    u[10:31] = np.sin(np.pi * np.linspace(0.1, 0.9, 21))[:, None, None]
    assert frames_shown(u) == [10, 15, 20, 25, 30]
    assert frames_shown(u[12:15]) == [0, 1, 2]
