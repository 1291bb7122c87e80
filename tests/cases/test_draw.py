from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fwdecg.cases.draw import draw_case, reach_spacing_mm
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.pacing import PacingConfig
from fwdecg.cases.solver_config import SolverConfig
from fwdecg.cases.splits import SHIFTS, assign_case
from fwdecg.cases.tissue_config import TissueConfig
from fwdecg.errors import CaseError
from fwdecg.physics.stimulus import stimulated_cells

PAPER = LibraryConfig()
SHIFTED = LibraryConfig(shifts=SHIFTS)


@pytest.mark.parametrize(
    ("case_id", "condition", "diffusivity", "size_mm", "fraction"),
    [
        (0, "healthy", (0.09, 0.10), (1, 3), (0, 0.05)),
        (1, "gap_junction", (0.01, 0.09), (0, 0), (0, 0)),
        (2, "fibrosis", (0.09, 0.10), (5, 15), (0.10, 0.40)),
        (3, "combined", (0.01, 0.09), (5, 15), (0.10, 0.40)),
        (4, "fibrosis", (0.09, 0.10), (5, 15), (0.10, 0.40)),
    ],
)
def test_parameters_are_in_the_ranges_of_the_condition(
    case_id, condition, diffusivity, size_mm, fraction
):
    for repeat in range(6):
        spec = draw_case(PAPER, case_id + 5 * repeat).spec
        assert spec.condition == condition
        assert diffusivity[0] <= spec.bulk_diffusivity_mm2_per_ms <= diffusivity[1]
        assert size_mm[0] <= spec.patch_size_mm <= size_mm[1]
        assert fraction[0] <= spec.patch_fraction <= fraction[1]


def test_a_case_depends_only_on_seed_and_id():
    first, again = draw_case(PAPER, 12), draw_case(replace(PAPER, cases=5000), 12)
    assert first.spec == again.spec
    np.testing.assert_array_equal(first.sheet.scar.field.values, again.sheet.scar.field.values)
    assert draw_case(replace(PAPER, seed=1), 12).spec.seed != first.spec.seed
    assert draw_case(PAPER, 17).spec.seed != first.spec.seed


def test_patches_cover_the_drawn_fraction():
    for case_id in (2, 3, 4):
        case = draw_case(PAPER, case_id)
        holes = ~case.sheet.rasterise(0.2).conducts
        assert holes.mean() == pytest.approx(case.spec.patch_fraction, abs=0.01)


def test_focal_sites_are_distributed_over_the_sheet():
    config = replace(PAPER, pacing=PacingConfig(protocol="focal"))
    specs = [draw_case(config, case_id).spec for case_id in range(1, 200, 5)]
    sites = np.array([(spec.stimulus_x_mm, spec.stimulus_y_mm) for spec in specs])
    assert (sites >= 0).all()
    assert (sites <= 100).all()
    np.testing.assert_allclose(sites.mean(axis=0), 50, atol=15)


def test_variation_of_d_does_not_change_other_draws():
    varied = replace(PAPER, tissue=TissueConfig(diffusivity_variation=0.3))
    for case_id in range(5):
        uniform, other = draw_case(PAPER, case_id), draw_case(varied, case_id)
        assert other.spec == uniform.spec
        bulk = uniform.spec.bulk_diffusivity_mm2_per_ms
        a, b = (case.sheet.rasterise(0.5).diffusivity_mm2_per_ms for case in (uniform, other))
        np.testing.assert_array_equal(a > 0, b > 0)
        assert np.ptp(b[b > 0] / bulk) > 0.3
        assert (np.abs(b[b > 0] / bulk - 1) <= 0.3).all()


def test_blocked_sheets_are_redrawn_and_counted():
    # Patches as large as the sheet, over nearly half of its area, often cover the left edge.
    tissue = TissueConfig(
        size_mm=10.0, large_patch_size_mm=(20.0, 20.0), large_patch_fraction=(0.49, 0.49)
    )
    specs = [draw_case(LibraryConfig(tissue=tissue), case_id).spec for case_id in range(2, 102, 5)]
    assert sum(spec.redraws for spec in specs) > 0


@pytest.mark.parametrize("protocol", ["planar", "focal"])
def test_the_reach_raster_resolves_the_stimulus_on_a_large_sheet(protocol):
    tissue = TissueConfig(size_mm=1000.0, large_patch_fraction=(0.1, 0.1))
    solver = SolverConfig(cv_error=0.1)  # otherwise it would have too many cells
    config = LibraryConfig(tissue=tissue, solver=solver, pacing=PacingConfig(protocol=protocol))
    assert draw_case(config, 2).spec.redraws == 0


@pytest.mark.parametrize("size_mm", [8.0, 50.0, 100.0, 199.9, 200.0])
def test_reach_raster_of_sheets_up_to_200_mm_stays_the_same(size_mm):
    # Another raster could redraw other sheets, so that existing libraries would change.
    assert reach_spacing_mm(size_mm) == size_mm / 200


def test_an_always_blocked_stimulus_is_an_error(monkeypatch):
    monkeypatch.setattr("fwdecg.cases.draw._reachable_fraction", lambda case: 0.0)
    with pytest.raises(CaseError, match="the stimulus is blocked in each of 100 drawn sheets"):
        draw_case(PAPER, 2)


def shifted_ids(config, shift):
    return range(50 + 5 * config.shifts.index(shift), 55 + 5 * config.shifts.index(shift))


@given(case_id=st.integers(0, 500), shifts=st.permutations(SHIFTS), cases=st.integers(501, 9999))
@settings(max_examples=20)
def test_a_shifted_case_depends_only_on_configuration_and_id(case_id, shifts, cases):
    config = replace(SHIFTED, shifts=tuple(shifts))
    first, again = (draw_case(c, case_id) for c in (config, replace(config, cases=cases)))
    assert first.spec == again.spec
    np.testing.assert_array_equal(first.electrodes_mm, again.electrodes_mm)
    assignment = assign_case(case_id, shifts)
    assert (first.spec.split, first.spec.condition) == (assignment.split, assignment.condition.name)
    if assignment.shift is None:
        regular = draw_case(PAPER, assignment.rank)
        assert replace(first.spec, case_id=assignment.rank) == regular.spec
        np.testing.assert_array_equal(first.electrodes_mm, regular.electrodes_mm)


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_shift_changes_one_property(shift):
    for case_id in shifted_ids(SHIFTED, shift):
        case = draw_case(SHIFTED, case_id)
        spec, tissue = case.spec, SHIFTED.tissue
        assert spec.split == f"test_{shift}"
        diffusivity = {"healthy": (0.09, 0.10), "fibrosis": (0.09, 0.10)}.get(
            spec.condition, (0.01, 0.09)
        )
        low, high = (0.11, 0.15) if shift == "diffusivity" else diffusivity
        assert low <= spec.bulk_diffusivity_mm2_per_ms <= high
        if spec.condition in ("fibrosis", "combined"):
            low, high = (18, 25) if shift == "patch_size" else (5, 15)
            assert low <= spec.patch_size_mm <= high
            assert 0.1 <= spec.patch_fraction <= 0.4
        else:
            assert shift != "patch_size"
            assert spec.patch_size_mm <= 3
        assert spec.stimulus == ("planar_top" if shift == "stimulus" else "planar")
        cells = stimulated_cells(case.pacing[0], case.sheet.rasterise(1.0))
        beyond = cells[:, 2:] if shift != "stimulus" else cells[2:]
        assert cells.any()
        assert not beyond.any()
        expected = (65.0, 65.0, 40.0) if shift == "electrode" else (50.0, 50.0, 40.0)
        np.testing.assert_array_equal(case.electrodes_mm, [expected])
        assert case.sheet.size_mm == tissue.size_mm
