"""The contact sheet: a row per case, scales and units named, and cases that never activate."""

import dataclasses

import numpy as np
import pytest

from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.library.labelled_cases import load_cases
from fwdecg.library.reader import Library
from fwdecg.pictures.contact_sheet import draw_contact_sheet, instants, isochrone_step_ms

PANELS_A_CASE = 6


def at_rest(case: RecordedCase) -> RecordedCase:
    still = dataclasses.replace(case.maps, u=np.zeros_like(case.maps.u))
    return dataclasses.replace(
        case, maps=still, phi_e_mm_per_ms=np.zeros_like(case.phi_e_mm_per_ms)
    )


@pytest.mark.parametrize("ids", [[0], [3, 8], [0, 5, 1, 6, 2, 4, 7, 3, 8]])
def test_a_row_for_each_case(library: Library, ids: list[int]) -> None:
    figure = draw_contact_sheet(load_cases(library, ids))
    scales = [panel for panel in figure.axes if panel.get_label() == "<colorbar>"]
    assert len(figure.axes) - len(scales) == PANELS_A_CASE * len(ids)
    assert [panel.get_xlabel() for panel in scales] == [
        "D (mm$^2$/ms)",
        "activation (ms)",
        "voltage u",
    ]
    texts = [text.get_text() for panel in figure.axes for text in panel.texts]
    assert [text.split("\n")[0] for text in texts if "case no." in text] == [
        f"case no. {case_id}" for case_id in ids
    ]


def test_each_condition_is_named_once(library: Library) -> None:
    figure = draw_contact_sheet(load_cases(library, [0, 5, 1, 2, 4, 7]))
    bold = [
        text.get_text()
        for panel in figure.axes
        for text in panel.texts
        if text.get_fontweight() == "bold"
    ]
    assert bold == ["healthy", "gap junction", "fibrosis"]


def test_the_first_of_several_ecgs_is_drawn(library: Library) -> None:
    (case,) = load_cases(library, [2])
    figure = draw_contact_sheet([case])
    (panel,) = [panel for panel in figure.axes if panel.get_xlabel() == "time (ms)"]
    assert panel.get_title().startswith("ECG 1 of 2 (")
    ecg = panel.lines[0].get_ydata()
    np.testing.assert_allclose(
        ecg / ecg.max(), case.phi_e_mm_per_ms[0] / case.phi_e_mm_per_ms[0].max(), rtol=1e-5
    )


def test_a_case_that_never_activates(library: Library) -> None:
    case = at_rest(load_cases(library, [2])[0])
    assert instants(case.maps) == [6, 12]  # of 20 frames, the last one number 19
    assert draw_contact_sheet([case]).axes


def test_instants_see_the_wave_under_way(library: Library) -> None:
    for case in load_cases(library, [0, 1, 2, 3]):
        shares = [
            np.nanmean(case.maps.activation_ms <= frame * case.maps.frame_interval_ms)
            for frame in instants(case.maps)
        ]
        assert 0.1 < shares[0] < shares[1]


@pytest.mark.parametrize(
    ("latest_ms", "step_ms"), [(5.0, 0.5), (160.0, 10.0), (520.0, 20.0), (9000.0, 300.0)]
)
def test_isochrones_are_round_and_few(latest_ms: float, step_ms: float) -> None:
    assert isochrone_step_ms(latest_ms) == pytest.approx(step_ms)
