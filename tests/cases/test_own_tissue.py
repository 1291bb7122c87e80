"""A user's own tissue agrees with the low-level API, and bad input ends in one line."""

import numpy as np
import pytest

import fwdecg
from fwdecg.cases.own_tissue import simulate_tissue
from fwdecg.errors import ConfigError, FwdEcgWarning, TissueError
from fwdecg.physics.fenton_karma import PARAMETER_SETS
from fwdecg.physics.markers import activation_times_ms
from fwdecg.physics.monodomain import Simulation, TimeGrid
from fwdecg.physics.stimulus import Stimulus
from fwdecg.physics.tissue import Tissue
from fwdecg.pictures.panels import ecg_r2

FK_CAF = PARAMETER_SETS["FK-CAF"]
GRID = [[x, y, 12.0] for x in (3.0, 9.0, 15.0, 21.0) for y in (3.0, 7.5, 12.0)]


@pytest.fixture(scope="module")
def tissue():
    """15 x 24 mm in cells of 0.25 mm, with D from 0.05 to 0.1 and a scar."""
    diffusivity = np.tile(np.linspace(0.05, 0.1, 96), (60, 1))
    scar = np.zeros((60, 96), bool)
    scar[20:36, 40:56] = True
    return Tissue(diffusivity_mm2_per_ms=diffusivity, spacing_mm=0.25, scar=scar)


@pytest.fixture(scope="module")
def stimuli():
    """Three stimuli at one site."""
    return fwdecg.pacing_train(Stimulus.disc(x_mm=4, y_mm=6, radius_mm=2), [110.0, 105.0])


@pytest.fixture(scope="module")
def fine(tissue, stimuli):
    """The case with maps on the solver's cells."""
    return simulate_tissue(
        tissue, stimuli, electrodes_mm=GRID, duration_ms=260, cv_error=0.1, map_spacing_mm=0.25
    )


def test_activation_times_agree_with_the_low_level_api(tissue, stimuli, fine):
    # The solver keeps the tissue's cells, because the error allows larger ones.
    time_grid = TimeGrid(frame_interval_ms=5.0, frames=52, largest_dt_ms=0.02)
    frames = np.stack(list(Simulation(tissue, stimuli, time_grid, FK_CAF)))
    expected = activation_times_ms(frames, 5.0)
    expected[~tissue.conducts] = np.nan
    np.testing.assert_allclose(fine.activation_ms, expected, atol=1.0)
    assert np.isfinite(fine.activation_ms[tissue.conducts]).all()


def test_the_ecg_is_that_of_the_full_resolution_frames(tissue, fine):
    found = fwdecg.ecg(
        fine.u,
        spacing_mm=0.25,
        diffusivity_mm2_per_ms=tissue.diffusivity_mm2_per_ms,
        electrodes_mm=GRID,
    )
    true = fine.phi_e_mm_per_ms
    np.testing.assert_allclose(found, true, rtol=0, atol=1e-5 * np.ptp(true))


def test_coarse_maps_determine_the_ecg_if_divided_by_the_conducting_fraction(tissue, stimuli):
    case = simulate_tissue(
        tissue, stimuli, electrodes_mm=GRID, duration_ms=260, cv_error=0.1, map_spacing_mm=1.5
    )
    assert case.u.shape == (52, 10, 16)
    found = fwdecg.ecg(
        case.u,
        spacing_mm=case.map_spacing_mm,
        diffusivity_mm2_per_ms=case.diffusivity_mm2_per_ms,
        electrodes_mm=case.electrodes_mm,
        conducting_fraction=case.conducting_fraction,
    )
    assert ecg_r2(found, case.phi_e_mm_per_ms) > 0.985
    shares = [fwdecg.contribution_map(case, 5, 30.0).sum(), found[5, 6]]
    assert shares[0] == pytest.approx(shares[1], rel=1e-6)


def test_a_finer_solver_keeps_the_sheet_and_pixels_may_extend_beyond_it():
    tissue = Tissue(diffusivity_mm2_per_ms=0.1, spacing_mm=1.0, shape=(8, 11))
    case = simulate_tissue(
        tissue,
        Stimulus.strip("left"),
        electrodes_mm=[[4, 4, 5]],
        duration_ms=30,
        map_spacing_mm=2.0,
        cv_error=0.1,
    )
    assert case.u.shape == (6, 4, 6)
    np.testing.assert_allclose(case.conducting_fraction[:, -1], 0.5)
    assert np.isfinite(case.activation_ms).all()
    assert (case.case_id, case.condition) == (None, "own tissue")


def test_own_parameters_change_the_action_potential():
    tissue = Tissue(diffusivity_mm2_per_ms=0.1, spacing_mm=0.5, shape=(10, 10))
    arguments = {"electrodes_mm": [[2, 2, 5]], "duration_ms": 120.0, "cv_error": 0.2}
    named, own, short = (
        simulate_tissue(tissue, Stimulus.strip("left"), cell_model=model, **arguments)
        for model in ("FK-CAF", FK_CAF, FK_CAF._replace(tau_r=40.0))
    )
    np.testing.assert_array_equal(named.u, own.u)
    assert (short.u > 0.5).sum() < 0.8 * (own.u > 0.5).sum()


def test_tissue_that_does_not_activate_is_reported():
    tissue = Tissue(diffusivity_mm2_per_ms=0.1, spacing_mm=0.5, shape=(20, 20))
    weak = Stimulus.disc(x_mm=5, y_mm=5, radius_mm=2, amplitude_per_ms=0.01)
    with pytest.warns(FwdEcgWarning, match="no tissue activates"):
        simulate_tissue(tissue, weak, electrodes_mm=[[5, 5, 5]], duration_ms=20, cv_error=0.2)


def test_frames_of_a_simulation_are_independent(tissue, stimuli):
    time_grid = TimeGrid(frame_interval_ms=5.0, frames=4, largest_dt_ms=0.02)
    first, *_, last = list(Simulation(tissue, stimuli, time_grid, FK_CAF))
    assert not first.any()
    assert last.max() > 0.5


VALID = {
    "stimuli": [Stimulus.strip("left")],
    "electrodes_mm": [[2.0, 2.0, 5.0]],
    "duration_ms": 20.0,
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stimuli": []}, "stimuli is empty"),
        ({"stimuli": Stimulus.strip("left", start_ms=20.0)}, "starts at 20 ms, after the last"),
        ({"stimuli": Stimulus.disc(x_mm=90, y_mm=2, radius_mm=1)}, "no conducting cell lies in"),
        ({"duration_ms": 22.0}, "duration_ms = 22.0: must be a multiple of frame_interval_ms"),
        ({"duration_ms": np.inf}, "duration_ms = inf: must be a multiple"),
        ({"frame_interval_ms": 60.0}, "frame_interval_ms = 60.0: must be above 0 and at most 50"),
        ({"map_spacing_mm": 30.0}, "map_spacing_mm = 30.0: must be above 0 and at most"),
        ({"map_spacing_mm": 1e-4}, "need 0*[0-9]+ GB; use a larger map_spacing_mm"),
        ({"electrodes_mm": [[2.0, 2.0, 0.5]]}, "it must be at least 1 mm away"),
        ({"cell_model": FK_CAF._replace(tau_d=0.0)}, "tau_d = 0.0: must be above 0 and finite"),
        ({"cell_model": FK_CAF._replace(u_v=0.5)}, "u_v = 0.5: must be at most u_c = 0.16"),
        ({"dt_ms": 1.0}, "dt_ms = 1: must be at most"),
    ],
)
def test_bad_input_is_rejected_in_one_line(changed, message):
    tissue = Tissue(diffusivity_mm2_per_ms=0.1, spacing_mm=0.5, shape=(20, 20))
    with pytest.raises(TissueError, match=message) as caught:
        simulate_tissue(tissue, **(VALID | changed))
    assert "\n" not in str(caught.value)


def test_an_unknown_cell_model_is_rejected():
    tissue = Tissue(diffusivity_mm2_per_ms=0.1, spacing_mm=0.5, shape=(20, 20))
    with pytest.raises(ConfigError, match="cell_model = 'FK': must be one of FK-CAF"):
        simulate_tissue(tissue, **VALID, cell_model="FK")


def test_a_d_that_varies_too_much_is_rejected():
    diffusivity = np.full((20, 40), 0.2)
    diffusivity[:, 20:] = 2e-4
    tissue = Tissue(diffusivity_mm2_per_ms=diffusivity, spacing_mm=0.5)
    with pytest.raises(TissueError, match=r"D from 0.0002 to 0.2 mm\^2/ms needs cells of .* steps"):
        simulate_tissue(tissue, **VALID, cv_error=0.1)


def test_a_short_simulation_prints_nothing(capfd):
    tissue = Tissue(diffusivity_mm2_per_ms=0.1, spacing_mm=0.5, shape=(4, 4))
    simulate_tissue(tissue, **VALID, cv_error=0.2)
    assert capfd.readouterr() == ("", "")


def test_a_mirrored_or_transposed_sheet_has_the_mirrored_or_transposed_maps():
    diffusivity = np.tile(np.linspace(0.05, 0.1, 30), (16, 1))
    diffusivity[4:8, 8:14] = 0.0
    width_mm = 15.0

    def case(diffusivity, x_mm, y_mm, electrodes_mm):
        return simulate_tissue(
            Tissue(diffusivity_mm2_per_ms=diffusivity, spacing_mm=0.5),
            Stimulus.disc(x_mm=x_mm, y_mm=y_mm, radius_mm=2),
            electrodes_mm=electrodes_mm,
            duration_ms=40,
            cv_error=0.1,
        )

    original = case(diffusivity, 3, 5, [[6, 2, 8], [-5, 6, 0]])
    mirrored = case(
        diffusivity[:, ::-1], width_mm - 3, 5, [[width_mm - 6, 2, 8], [width_mm + 5, 6, 0]]
    )
    transposed = case(diffusivity.T, 5, 3, [[2, 6, 8], [6, -5, 0]])
    for other, maps in (
        (mirrored, mirrored.u[:, :, ::-1]),
        (transposed, transposed.u.transpose(0, 2, 1)),
    ):
        np.testing.assert_allclose(maps, original.u, atol=1e-5)
        np.testing.assert_allclose(other.phi_e_mm_per_ms, original.phi_e_mm_per_ms, atol=1e-6)


@pytest.mark.parametrize("diffusivity", [1e-12, 1e-7])
def test_a_d_that_needs_too_many_cells_is_rejected(diffusivity):
    tissue = Tissue(diffusivity_mm2_per_ms=diffusivity, spacing_mm=0.5, shape=(60, 60))
    with pytest.raises(TissueError, match=r"the smallest D, 1e-.* needs cells of"):
        simulate_tissue(tissue, **VALID)


def test_d_in_mm2_per_s_is_rejected():
    tissue = Tissue(diffusivity_mm2_per_ms=100.0, spacing_mm=0.5, shape=(60, 60))
    with pytest.raises(
        TissueError, match=r"no conducting cell .* the solver's cells are 6 mm wide"
    ):
        simulate_tissue(tissue, **VALID)
