"""Eq. 1 on maps, with the true tissue and with the tissue that the maps show."""

import dataclasses

import numpy as np
import pytest

from fwdecg.evaluation.operators import ExactOperator, ReadOffOperator, fit_read_off_operator
from fwdecg.library.labelled_cases import stream_labelled_cases
from fwdecg.physics.pseudo_ecg import lead_fields
from fwdecg.physics.tissue import Tissue

# Rounding to float16 changes u <= 1 by at most 2^-11 in each of the 256 pixels.
HALF = 2.0**-11
EXACT = ExactOperator(map_spacing_mm=0.5)


def test_the_exact_operator_on_the_grid_of_the_solver(library, cases):
    error = EXACT.predict(cases) - cases.phi_e
    # Rounding of u, at most HALF, times the lead field, whose absolute sum is below 0.4 mm/ms.
    assert np.abs(error).max() < HALF * 0.4
    assert np.abs(cases.phi_e).max() > 100 * np.abs(error).max()


def test_the_exact_operator_for_varying_d(varied_library):
    (cases,) = stream_labelled_cases(varied_library)
    conducts = cases.conducting_fraction > 0
    assert np.ptp(cases.diffusivity_mm2_per_ms[0][conducts[0]]) > 0.02
    error = EXACT.predict(cases) - cases.phi_e
    # The same bound for D that is up to 1.3 times as large.
    assert np.abs(error).max() < HALF * 0.4 * 1.3


def test_the_exact_operator_inverts_the_mean_over_patches(library, cases):
    """If every pixel conducts in half of its area, u and D are halved but the wave is the same."""
    halved = dataclasses.replace(
        cases,
        u=(cases.u * 0.5).astype(np.float16),
        diffusivity_mm2_per_ms=cases.diffusivity_mm2_per_ms / 2,
        conducting_fraction=cases.conducting_fraction / 2,
    )
    expected = EXACT.predict(cases) / 2
    np.testing.assert_allclose(EXACT.predict(halved), expected, rtol=0, atol=HALF * 0.4)


def test_the_exact_operator_uses_displaced_electrodes(library, cases):
    """Swapping the electrodes of the second case swaps its ECGs."""
    electrodes = cases.electrodes_mm.copy()
    electrodes[1] = electrodes[1, ::-1]
    displaced = EXACT.predict(dataclasses.replace(cases, electrodes_mm=electrodes))
    expected = EXACT.predict(cases)
    expected[1] = expected[1, ::-1]
    assert np.array_equal(displaced, expected)


@pytest.fixture
def read_off(library):
    """Operator with an arbitrary factor and the electrodes of the library."""
    return ReadOffOperator(
        map_spacing_mm=0.5,
        electrodes_mm=library.config.recording.electrodes(8.0),
        diffusivity_per_square_speed=0.004,
    )


def _fronts(frames_per_pixel: float, fraction: np.ndarray) -> np.ndarray:
    """Maps of a front that runs to the right in tissue that fills a fraction of each pixel."""
    frame, column = np.arange(40)[:, None], np.arange(16) + 0.5
    ramp = ((frame / frames_per_pixel - column) / 4).clip(0, 1)
    return (ramp[:, None, :] * fraction).astype(np.float16)


@pytest.mark.parametrize("frames_per_pixel", [1.0, 2.0])
def test_the_read_off_operator_on_a_known_front(read_off, frames_per_pixel):
    """The maps show a half-conducting pixel, a patch and, by the speed of the front, D."""
    fraction = np.ones((16, 16))
    fraction[12, 8], fraction[4:7, 9:12] = 0.5, 0.0
    u = _fronts(frames_per_pixel, fraction)
    widths_per_32_frames = 32 / frames_per_pixel / 16
    diffusivity = 0.004 * widths_per_32_frames**2
    tissue = Tissue(spacing_mm=0.5, diffusivity_mm2_per_ms=diffusivity * fraction)
    leads = lead_fields(tissue, read_off.electrodes_mm)
    expected = np.einsum("exy,txy->et", leads, u / np.where(fraction > 0, fraction, 1.0))
    # The maps are float16, and this front does not bend around the patch.
    np.testing.assert_allclose(
        read_off.ecg(u), expected, rtol=0, atol=2e-3 * np.abs(expected).max()
    )


def test_the_fit_recovers_the_factor(library, cases, read_off):
    judged = dataclasses.replace(cases, phi_e=read_off.predict(cases))
    fitted = fit_read_off_operator([judged], recording=library.config.recording, size_mm=8.0)
    assert fitted.diffusivity_per_square_speed == pytest.approx(0.004, rel=1e-5)


def test_the_read_off_operator_ignores_displaced_electrodes(cases, read_off):
    moved = dataclasses.replace(cases, electrodes_mm=cases.electrodes_mm + 1.0)
    assert np.array_equal(read_off.predict(moved), read_off.predict(cases))
