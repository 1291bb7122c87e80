from dataclasses import replace

import pytest

from fwdecg.cases.draw import draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.cases.solver_config import SolverConfig
from fwdecg.cases.splits import SHIFTS
from fwdecg.cases.tissue_config import TissueConfig
from fwdecg.errors import LibraryError
from fwdecg.library.build_plan import expected_work, plan_parts, sort_by_work
from fwdecg.library.paths import Part


def test_parts_follow_a_grid_and_extend_published_parts(small_config):
    config = replace(small_config, cases=10)  # four cases a part
    assert plan_parts(config, []) == [Part(0, 4), Part(4, 8), Part(8, 10)]
    extended = replace(config, cases=15)
    published = [Part(0, 4), Part(8, 10)]
    assert plan_parts(extended, published) == [
        Part(0, 4),
        Part(4, 8),
        Part(8, 10),
        Part(10, 12),
        Part(12, 15),
    ]


def test_gaps_are_filled_without_overlap(small_config):
    config = replace(small_config, cases=12)
    parts = plan_parts(config, [Part(9, 11)])
    assert parts == [Part(0, 4), Part(4, 8), Part(8, 9), Part(9, 11), Part(11, 12)]
    with pytest.raises(LibraryError, match="overlaps the part before it"):
        plan_parts(config, [Part(8, 10), Part(8, 12)])


def test_a_library_cannot_shrink(small_config):
    with pytest.raises(LibraryError, match="already has 12 cases; configure at least as many"):
        plan_parts(small_config, [Part(8, 12)])


def test_cases_per_part_follow_from_the_file_size(small_config):
    paper = LibraryConfig()
    assert paper.part_cases == int(128e6 / (0.3 * 160 * 64 * 64 * 2))
    assert replace(paper, part_mb=0.001).part_cases == 1
    assert replace(paper, cases_per_part=7).part_cases == 7


def test_more_electrodes_mean_fewer_cases_per_part():
    # 10,000 electrodes of 160 frames in float32, 6.4 MB, against 0.39 MB of compressed maps.
    grid = LibraryConfig(recording=RecordingConfig(electrode_grid=(100, 100)))
    assert grid.part_cases == int(128e6 / (0.3 * 160 * 64 * 64 * 2 + 9999 * 160 * 4)) == 18


def simulation_order(config):
    work = {case_id: expected_work(config, case_id) for case_id in range(config.cases)}
    return sort_by_work(work, work)


def test_cases_are_sorted_by_work_then_by_id():
    work = {4: 9.0, 3: 5.0, 2: 5.0, 1: 7.0}
    assert sort_by_work([1, 3, 2], work) == [1, 2, 3]


def test_slow_conduction_is_simulated_first():
    config = LibraryConfig(cases=70, shifts=SHIFTS)
    order = simulation_order(config)
    found = [draw_case(config, case_id).spec.bulk_diffusivity_mm2_per_ms for case_id in order]
    assert found == sorted(found)
    assert max(found) > 0.11  # in the shifted cases
    assert sorted(order) == list(range(70))


@pytest.mark.parametrize("spacing_mm", [None, 0.05])
def test_work_of_varying_d_depends_on_its_extremes(spacing_mm):
    varied = TissueConfig(diffusivity_variation=0.9)
    solver = SolverConfig(spacing_mm=spacing_mm, cv_error=0.02)
    config = LibraryConfig(cases=40, tissue=varied, solver=solver)
    work = []
    for case_id in simulation_order(config):
        case = draw_case(config, case_id)
        spacing, dt_ms = solver.resolution(*case.sheet.diffusivity_bounds_mm2_per_ms)
        work.append(1 / (spacing**2 * dt_ms))
    assert work == sorted(work, reverse=True)
