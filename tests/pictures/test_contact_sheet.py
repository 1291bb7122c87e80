"""The contact sheet: a row for each case, named scales, and cases that never activate."""

import dataclasses

import numpy as np
import pytest

from fwdecg.library.labelled_cases import load_cases
from fwdecg.pictures.contact_sheet import isochrone_step_ms, plot_contact_sheet, shown_frames

PANELS_PER_CASE = 6


@pytest.mark.parametrize("ids", [[0], [0, 5, 1, 2, 4, 7]])
def test_a_row_for_each_case(library, ids):
    figure = plot_contact_sheet(load_cases(library, ids))
    scales = [panel for panel in figure.axes if panel.get_label() == "<colorbar>"]
    assert len(figure.axes) - len(scales) == PANELS_PER_CASE * len(ids)
    assert [panel.get_xlabel() for panel in scales] == [
        "D (mm$^2$/ms)",
        "activation (ms)",
        "voltage u",
    ]
    texts = [text for panel in figure.axes for text in panel.texts]
    numbers = [text.get_text().split("\n")[0] for text in texts if "case no." in text.get_text()]
    assert numbers == [f"case no. {case_id}" for case_id in ids]
    headings = [text.get_text() for text in texts if text.get_fontweight() == "bold"]
    assert headings == ["healthy", "gap junction", "fibrosis"][: len(headings)]
    assert len(headings) == min(len(ids), 3)


def test_the_ecg_of_the_first_electrode(library):
    (case,) = load_cases(library, [2])
    figure = plot_contact_sheet([case])
    (panel,) = [panel for panel in figure.axes if panel.get_xlabel() == "time (ms)"]
    assert panel.get_title().startswith("ECG, electrode 0 (")
    ecg = panel.lines[0].get_ydata()
    np.testing.assert_allclose(
        ecg / ecg.max(), case.phi_e_mm_per_ms[0] / case.phi_e_mm_per_ms[0].max(), rtol=1e-5
    )


def test_a_case_that_never_activates(library):
    (case,) = load_cases(library, [2])
    resting = dataclasses.replace(
        case, u=np.zeros_like(case.u), phi_e_mm_per_ms=np.zeros_like(case.phi_e_mm_per_ms)
    )
    assert shown_frames(resting) == [6, 12]  # the last of the 20 frames is number 19
    assert plot_contact_sheet([resting]).axes


def test_the_voltage_maps_show_a_travelling_wave(library):
    for case in load_cases(library, [0, 1, 2, 3]):
        activated = [
            np.nanmean(case.activation_ms <= frame * case.frame_interval_ms)
            for frame in shown_frames(case)
        ]
        assert 0.1 < activated[0] < activated[1]


@pytest.mark.parametrize(
    ("latest_ms", "step_ms"), [(5.0, 0.5), (160.0, 10.0), (520.0, 20.0), (9000.0, 300.0)]
)
def test_isochrones_are_few_and_at_round_times(latest_ms, step_ms):
    assert isochrone_step_ms(latest_ms) == pytest.approx(step_ms)
