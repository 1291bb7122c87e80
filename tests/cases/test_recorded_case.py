"""Cases as pictures show them: the rows asked for, in their order, and the scale of their ECGs."""

import dataclasses

import numpy as np
import pytest

from fwdecg.library.labelled_cases import LabelledCases, load_cases
from fwdecg.library.reader import Library
from fwdecg.pictures.ecg_panel import ecg_scale


def test_cases_in_the_order_asked_for(library: Library, cases: LabelledCases) -> None:
    chosen = load_cases(library, [7, 0, 3])
    assert [case.case_id for case in chosen] == [7, 0, 3]
    assert [case.condition for case in chosen] == ["fibrosis", "healthy", "combined"]
    for case in chosen:
        np.testing.assert_array_equal(case.maps.u, cases.u[case.case_id])
        np.testing.assert_array_equal(case.phi_e_mm_per_ms, cases.phi_e[case.case_id])
        assert (case.maps.map_spacing_mm, case.maps.frame_interval_ms) == (0.5, 3.0)


def test_the_share_that_conducts_is_the_recorded_one(varied_library: Library) -> None:
    """The solver's cells are pixels here: each conducts as a whole or not at all."""
    for case in load_cases(varied_library, [0, 2]):
        diffusivity = case.maps.diffusivity_mm2_per_ms
        assert np.ptp(diffusivity[diffusivity > 0]) > 0.02
        np.testing.assert_array_equal(case.maps.conducting_share, diffusivity > 0)


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
def test_scale_of_an_ecg(library: Library, largest: float, scale: float, unit: str) -> None:
    (case,) = load_cases(library, [0])
    phi_e = np.array([[0.0, -largest], [1e9, 1e9]], np.float32)  # the first electrode is drawn
    found = ecg_scale([dataclasses.replace(case, phi_e_mm_per_ms=phi_e)])
    assert found == (pytest.approx(scale), unit)
