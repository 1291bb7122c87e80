"""Eq. 1 on maps: exact with the true tissue, and as good as what is read off without it."""

import dataclasses

import numpy as np
import pytest

from fwdecg.evaluation.operators import ExactOperator, ReadOffOperator, fit_read_off_operator
from fwdecg.library.labelled_cases import LabelledCases, stream_labelled_cases
from fwdecg.library.reader import Library
from fwdecg.physics.pseudo_ecg import lead_fields
from fwdecg.physics.tissue import Tissue

# Maps are rounded to float16: 2^-11 of u <= 1 in each of 256 pixels.
HALF = 2.0**-11
EXACT = ExactOperator(map_spacing_mm=0.5)


def test_exact_operator_on_the_solvers_own_grid(library: Library, cases: LabelledCases) -> None:
    error = EXACT.predict(cases) - cases.phi_e
    # A rounding of u by HALF at most, times the lead field, whose absolute sum is below 0.4 mm/ms.
    assert np.abs(error).max() < HALF * 0.4
    assert np.abs(cases.phi_e).max() > 100 * np.abs(error).max()


def test_exact_operator_where_d_varies(varied_library: Library) -> None:
    (cases,) = stream_labelled_cases(varied_library)
    conducts = cases.conducting_fraction > 0
    assert np.ptp(cases.diffusivity_mm2_per_ms[0][conducts[0]]) > 0.02
    error = EXACT.predict(cases) - cases.phi_e
    # As above, with D up to 1.3 times as large.
    assert np.abs(error).max() < HALF * 0.4 * 1.3


def test_exact_operator_undoes_the_mean_over_patches(
    library: Library, cases: LabelledCases
) -> None:
    """Pixels that conduct in half of their area, evenly: u and D are halved, the wave is not."""
    halved = dataclasses.replace(
        cases,
        u=(cases.u * 0.5).astype(np.float16),
        diffusivity_mm2_per_ms=cases.diffusivity_mm2_per_ms / 2,
        conducting_fraction=cases.conducting_fraction / 2,
    )
    expected = EXACT.predict(cases) / 2
    np.testing.assert_allclose(EXACT.predict(halved), expected, rtol=0, atol=HALF * 0.4)


def test_exact_operator_is_told_where_displaced_electrodes_are(
    library: Library, cases: LabelledCases
) -> None:
    """Those of the second case change places: so does its ECG."""
    electrodes = cases.electrodes_mm.copy()
    electrodes[1] = electrodes[1, ::-1]
    displaced = EXACT.predict(dataclasses.replace(cases, electrodes_mm=electrodes))
    expected = EXACT.predict(cases)
    expected[1] = expected[1, ::-1]
    assert np.array_equal(displaced, expected)


@pytest.fixture
def read_off(library: Library) -> ReadOffOperator:
    """Some factor, the electrodes of the library."""
    return ReadOffOperator(
        map_spacing_mm=0.5,
        electrodes_mm=library.config.recording.electrodes(8.0),
        diffusivity_per_square_speed=0.004,
    )


def _fronts(frames_per_pixel: float, share: np.ndarray) -> np.ndarray:
    """Maps of a front that runs to the right, of tissue that conducts in a share of each pixel."""
    frame, column = np.arange(40)[:, None], np.arange(16) + 0.5
    ramp = ((frame / frames_per_pixel - column) / 4).clip(0, 1)
    return (ramp[:, None, :] * share).astype(np.float16)


@pytest.mark.parametrize("frames_per_pixel", [1.0, 2.0])
def test_what_is_read_off_a_known_front(read_off: ReadOffOperator, frames_per_pixel: float) -> None:
    """A pixel that conducts by halves, a patch, and a front of known speed: D and lead fields."""
    share = np.ones((16, 16))
    share[12, 8], share[4:7, 9:12] = 0.5, 0.0
    u = _fronts(frames_per_pixel, share)
    widths_per_32_frames = 32 / frames_per_pixel / 16
    diffusivity = 0.004 * widths_per_32_frames**2
    tissue = Tissue(spacing_mm=0.5, diffusivity_mm2_per_ms=diffusivity * share)
    leads = lead_fields(tissue, read_off.electrodes_mm)
    expected = np.einsum("exy,txy->et", leads, u / np.where(share > 0, share, 1.0))
    # float16 maps, and the speed beside the patch, where the front does not bend here.
    np.testing.assert_allclose(
        read_off.ecg(u), expected, rtol=0, atol=2e-3 * np.abs(expected).max()
    )


def test_its_factor_is_found_again(
    library: Library, cases: LabelledCases, read_off: ReadOffOperator
) -> None:
    judged = dataclasses.replace(cases, phi_e=read_off.predict(cases))
    fitted = fit_read_off_operator([judged], recording=library.config.recording, size_mm=8.0)
    assert fitted.diffusivity_per_square_speed == pytest.approx(0.004, rel=1e-5)


def test_it_is_not_told_where_electrodes_were_displaced_to(
    cases: LabelledCases, read_off: ReadOffOperator
) -> None:
    moved = dataclasses.replace(cases, electrodes_mm=cases.electrodes_mm + 1.0)
    assert np.array_equal(read_off.predict(moved), read_off.predict(cases))
