from dataclasses import replace

import numpy as np
import pytest

from fwdecg.errors import CaseError
from fwdecg.library.config import LibraryConfig, PacingConfig, TissueConfig
from fwdecg.library.sampling import draw_case

PAPER = LibraryConfig()


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
def test_parameters_lie_in_the_ranges_of_the_condition(
    case_id, condition, diffusivity, size_mm, fraction
):
    for repeat in range(6):
        spec = draw_case(PAPER, case_id + 5 * repeat).spec
        assert spec.condition == condition
        assert diffusivity[0] <= spec.bulk_diffusivity_mm2_per_ms <= diffusivity[1]
        assert size_mm[0] <= spec.patch_size_mm <= size_mm[1]
        assert fraction[0] <= spec.patch_fraction <= fraction[1]


def test_a_case_depends_on_seed_and_id_alone():
    first, again = draw_case(PAPER, 12), draw_case(replace(PAPER, cases=5000), 12)
    assert first.spec == again.spec
    np.testing.assert_array_equal(first.sheet.scar.texture.values, again.sheet.scar.texture.values)
    assert draw_case(replace(PAPER, seed=1), 12).spec.seed != first.spec.seed
    assert draw_case(PAPER, 17).spec.seed != first.spec.seed


def test_scars_cover_the_drawn_share():
    for case_id in (2, 3, 4):
        case = draw_case(PAPER, case_id)
        holes = ~case.sheet.rasterise(0.2).conducts
        assert holes.mean() == pytest.approx(case.spec.patch_fraction, abs=0.01)


def test_focal_sites_are_spread_over_the_sheet():
    config = replace(PAPER, pacing=PacingConfig(protocol="focal"))
    specs = [draw_case(config, case_id).spec for case_id in range(1, 200, 5)]
    sites = np.array([(spec.stimulus_x_mm, spec.stimulus_y_mm) for spec in specs])
    assert (sites >= 0).all()
    assert (sites <= 100).all()
    np.testing.assert_allclose(sites.mean(axis=0), 50, atol=15)


def test_variation_leaves_all_else_as_it_is():
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
    # Patches of a sheet's size over nearly half of it often cover the whole left edge.
    tissue = TissueConfig(
        size_mm=10.0, large_patch_size_mm=(20.0, 20.0), large_patch_fraction=(0.49, 0.49)
    )
    specs = [draw_case(LibraryConfig(tissue=tissue), case_id).spec for case_id in range(2, 102, 5)]
    assert sum(spec.redraws for spec in specs) > 0


def test_a_case_that_cannot_be_drawn_is_an_error(monkeypatch):
    monkeypatch.setattr("fwdecg.library.sampling._reachable_fraction", lambda case: 0.0)
    with pytest.raises(CaseError, match="the stimulus is blocked in each of 100 drawn sheets"):
        draw_case(PAPER, 2)
