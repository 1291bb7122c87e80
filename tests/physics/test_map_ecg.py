"""Eq. 1 for anybody's maps: against the solver's own ECG, a closed form, and bad input."""

import numpy as np
import pytest

from fwdecg.errors import FwdEcgWarning, MapsError, TissueError
from fwdecg.physics.map_ecg import ecg, lead_field
from fwdecg.physics.pseudo_ecg import lead_fields, pseudo_ecg
from fwdecg.physics.tissue import Tissue

ELECTRODES = [[3.0, 2.0, 4.0], [-5.0, 8.0, 6.0]]
FIELD = {"spacing_mm": 0.5, "diffusivity_mm2_per_ms": 0.1, "electrodes_mm": ELECTRODES}


def maps(frames=3, rows=8, cols=14):
    return np.random.default_rng(0).random((frames, rows, cols))


def test_the_ecg_is_that_of_the_solver_on_its_own_cells():
    u, tissue = maps(), Tissue(diffusivity_mm2_per_ms=0.1, spacing_mm=0.5, shape=(8, 14))
    expected = pseudo_ecg(u, lead_fields(tissue, np.array(ELECTRODES)))
    np.testing.assert_allclose(ecg(u, **FIELD), expected, rtol=1e-12)
    leads = lead_field(**FIELD, shape=(8, 14))
    found = np.einsum("erc,frc->ef", leads, u)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("shape", [(9, 14), (14, 9), (1, 9), (9, 1), (2, 3)])
def test_the_ecg_is_eq_1_summed_term_by_term(shape):
    """Five-point flux D (u_neighbour - u) of D linear in x, whose links the nine-point one shares.

    u and D vary along x only, so that the diagonal links carry what the straight ones lack.
    """
    rng = np.random.default_rng(2)
    spacing_mm, columns = 0.7, shape[1]
    d, u = 0.05 + 0.1 * rng.random(columns), rng.random(columns)
    link = 2 * d[:-1] * d[1:] / (d[:-1] + d[1:])
    flux = np.concatenate([[0.0], link * np.diff(u), [0.0]])
    source = np.diff(flux)  # div(D grad u) dA: the spacing cancels
    for x_mm, y_mm, z_mm in ELECTRODES:
        row, col = np.indices(shape)
        distance_mm = np.sqrt(
            ((col + 0.5) * spacing_mm - x_mm) ** 2
            + ((row + 0.5) * spacing_mm - y_mm) ** 2
            + z_mm**2
        )
        found = ecg(
            np.broadcast_to(u, (1, *shape)),
            spacing_mm=spacing_mm,
            diffusivity_mm2_per_ms=np.broadcast_to(d, shape),
            electrodes_mm=[[x_mm, y_mm, z_mm]],
        )
        assert found[0, 0] == pytest.approx((source / distance_mm).sum(), rel=1e-9)


def test_maps_in_mv_are_reported_if_the_ecg_is_wanted_in_mv():
    u = maps()
    with pytest.warns(FwdEcgWarning, match="spans 99.* mV, more than any cell; scale u"):
        ecg(100 * u - 85, **FIELD, unit="mV")
    scaled = ecg(100 * u - 85, **FIELD, unit="mV", action_potential_mv=1.0)
    np.testing.assert_allclose(scaled, ecg(u, **FIELD, unit="mV"), rtol=1e-9, atol=1e-12)


def test_a_sharp_front_far_away_is_a_double_layer():
    """Between two infinitely long fronts the source is a pair of lines of dipoles.

    For u = 1 in a strip |x| < a of an infinite sheet, the ECG at height z above its middle is
    -4 D a / (a^2 + z^2): the integral over y of the dipoles at both edges.
    """
    spacing_mm, half_mm, height_mm, diffusivity = 0.5, 5.0, 30.0, 0.1
    cols, rows = 2000, 8000  # long enough for the integral over y
    column = np.abs((np.arange(cols) + 0.5) * spacing_mm - cols * spacing_mm / 2) < half_mm
    u = np.broadcast_to(column.astype(np.float32), (1, rows, cols))
    middle = [cols * spacing_mm / 2, rows * spacing_mm / 2, height_mm]
    found = ecg(
        u, spacing_mm=spacing_mm, diffusivity_mm2_per_ms=diffusivity, electrodes_mm=[middle]
    )
    expected = -4 * diffusivity * half_mm / (half_mm**2 + height_mm**2)
    assert found[0, 0] == pytest.approx(expected, rel=2e-3)


def test_area_means_are_divided_by_the_conducting_fraction():
    """A pixel of which half conducts has half the voltage and D, but its tissue's full voltage."""
    fraction = np.ones((8, 14))
    fraction[2:4, 5] = 0.5
    u = np.ones((1, 8, 14)) * fraction
    given = FIELD | {"diffusivity_mm2_per_ms": 0.1 * fraction}
    np.testing.assert_allclose(ecg(u, **given, conducting_fraction=fraction), 0, atol=1e-12)
    assert np.abs(ecg(u, **given)).max() > 1e-5


def test_millivolts():
    u = maps()
    plain, millivolts = ecg(u, **FIELD), ecg(u, **FIELD, unit="mV")
    # 100 mV * 1.4 uF/mm^3 * 2 mm / (4 pi * 0.2 S/m)
    np.testing.assert_allclose(millivolts, plain * 280 / (4 * np.pi * 0.2), rtol=1e-12)
    thick = ecg(u, **FIELD, unit="mV", thickness_mm=4.0, bath_conductivity_s_per_m=0.4)
    np.testing.assert_allclose(thick, millivolts, rtol=1e-12)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"u": np.zeros((3, 3))}, r"u has shape \(3, 3\): must be"),
        ({"u": np.full((1, 2, 2), np.nan)}, "with at least one frame and finite values"),
        ({"unit": "V"}, "unit = 'V': must be one of mm/ms, mV"),
        ({"unit": "mV", "thickness_mm": -1.0}, "thickness_mm = -1.0: must be above 0"),
    ],
)
def test_unsuitable_maps_are_rejected(changed, message):
    with pytest.raises(MapsError, match=message):
        ecg(**({"u": maps()} | FIELD | changed))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"electrodes_mm": [1.0, 2.0, 3.0]}, r"has shape \(3,\): must be \(electrode, 3\)"),
        ({"electrodes_mm": [[1.0, 2.0, np.nan]]}, "electrodes_mm holds NaN or infinity"),
        ({"electrodes_mm": [[1.0, 2.0, 0.1]]}, "at least 1 mm away"),
        ({"diffusivity_mm2_per_ms": np.ones((3, 3))}, r"has shape \(3, 3\): must be a number or"),
        ({"conducting_fraction": np.full((8, 14), 2.0)}, "has values from 2 to 2: must be"),
        ({"conducting_fraction": np.zeros((8, 14))}, "is 0 where diffusivity_mm2_per_ms is above"),
        ({"conducting_fraction": np.ones((0, 14))}, r"has shape \(0, 14\): must be"),
        ({"conducting_fraction": np.ones((3, 3))}, r"must be \(row, col\) = \(8, 14\)"),
        ({"spacing_mm": 0.0}, "spacing_mm = 0.0: must be above 0"),
    ],
)
def test_unsuitable_tissue_and_electrodes_are_rejected(changed, message):
    with pytest.raises(TissueError, match=message):
        ecg(**({"u": maps()} | FIELD | changed))
