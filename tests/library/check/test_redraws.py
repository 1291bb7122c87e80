"""Stored cases against what their configuration draws and simulates."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from fwdecg.cases.conditions import CONDITIONS
from fwdecg.cases.splits import SHIFTS
from fwdecg.errors import CaseError
from fwdecg.library.check.fault import Check
from fwdecg.library.check.redraws import check_draw, draw_sample, resimulate
from fwdecg.library.check.rows import summarise_case
from fwdecg.library.schema import tensor_column
from fwdecg.runtime.storage import Store

PART = "cases/cases-000000-000004.parquet"


@pytest.fixture(scope="module")
def shifted_config(small_config):
    """A configuration with shifted cases from case 50 on; case 65 has displaced electrodes."""
    return replace(
        small_config,
        cases=70,
        shifts=SHIFTS,
        tissue=replace(
            small_config.tissue,
            remodelled_diffusivity_mm2_per_ms=(0.07, 0.09),
            diffusivity_variation=0.2,
            diffusivity_variation_length_mm=2.0,
            shifted_patch_size_mm=(2.5, 3.0),
        ),
        solver=replace(small_config.solver, scheme="plain"),
        recording=replace(small_config.recording, electrode_shift_mm=(1.0, -1.0, 0.5)),
    )


def problems(row, case_id, config):
    found = []
    check_draw(row, case_id, config, found.append)
    return found


@pytest.mark.parametrize("case_id", [1, 65])
def test_a_stored_case_agrees_with_its_draw(shifted_config, stored_row, case_id):
    assert problems(stored_row(shifted_config, case_id), case_id, shifted_config) == []


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("split", "train", "split is train: its configuration gives test_electrode"),
        ("condition", "a\nb", "condition is a\nb: its configuration gives"),
        ("patch_fraction", 0.3, "patch_fraction is 0.3: its configuration gives"),
        ("stimulus_s2_start_ms", 90.0, "is 90.0: its configuration gives None"),
        ("frame_interval_ms", 4.0, "frame_interval_ms is 4.0: its configuration gives 5.0"),
        ("map_spacing_mm", 0.25, "map_spacing_mm is 0.25: its configuration gives 1.0"),
        ("solver_dt_ms", 0.04, "solver_dt_ms is 0.04: its configuration gives 0.05"),
        ("node_updates", 0, "node_updates is 0: must be from 1 to"),
        ("electrodes_mm", 6.0, "electrodes_mm is [[6.0, 6.0, 6.0], [6.0, 6.0, 6.0]]: its"),
        ("diffusivity_mm2_per_ms", 0.0, "differs in 64 of 64 pixels from the map that its config"),
        ("conducting_fraction", 2.0, "conducting_fraction differs in 64 of 64 pixels"),
    ],
)
def test_a_wrong_value_is_reported(shifted_config, stored_row, name, value, problem):
    row = stored_row(shifted_config, 65)
    if isinstance(row[name], np.ndarray):
        value = np.full_like(row[name], value)
    (found,) = problems(row | {name: value}, 65, shifted_config)
    assert problem in found


def test_missing_columns_are_not_compared(shifted_config, stored_row):
    row = stored_row(shifted_config, 65)
    for name in row:
        without = {key: value for key, value in row.items() if key != name}
        assert problems(without, 65, shifted_config) == []
    assert problems({}, 65, shifted_config) == []


def test_values_within_the_tolerance_agree(small_config, stored_row):
    row = stored_row(small_config, 0)
    row["bulk_diffusivity_mm2_per_ms"] *= 1 + 1e-10
    assert problems(row, 0, small_config) == []
    row["bulk_diffusivity_mm2_per_ms"] *= 1 + 1e-8
    assert len(problems(row, 0, small_config)) == 1


def test_a_case_that_cannot_be_drawn_is_reported(small_config, stored_row, monkeypatch):
    def fail(config, case_id):
        raise CaseError("no site for the stimulus")

    monkeypatch.setattr("fwdecg.library.check.redraws.draw_case", fail)
    (found,) = problems(stored_row(small_config, 2), 2, small_config)
    assert found == "cannot be drawn again: CaseError: no site for the stimulus"


@pytest.fixture
def resimulated(root, small_config, stored_row, run_check):
    """A function that simulates the first cases of the library again."""

    def run(count):
        rows = [stored_row(small_config, case_id) for case_id in range(count)]
        sample = [summarise_case(PART, row) for row in rows]
        return run_check(resimulate, Store.at(root), sample, small_config)

    return run


def test_simulations_of_a_sound_library_are_identical(resimulated):
    text = "cases 0, 1, computed without their stored u and phi_e: equal bit for bit"
    assert resimulated(2) == (text, [])


@pytest.mark.parametrize(
    ("name", "edit", "problem"),
    [
        ("phi_e", lambda phi_e: phi_e * np.float32(1.05), "phi_e has R2 0.99"),
        ("u", lambda u: np.concatenate([u[:1], u[:-1]]), "u differs from its simulation by up to"),
    ],
)
def test_what_only_a_simulation_shows_is_reported(root, resimulated, name, edit, problem):
    table = pq.read_table(root / PART)
    values = tensor_column(table, name).copy()
    values[0] = edit(values[0])
    column = type(table[name].chunk(0)).from_numpy_ndarray(values)
    place = table.schema.names.index(name)
    pq.write_table(table.set_column(place, table.schema.field(name), column), root / PART)
    text, (fault,) = resimulated(2)
    assert fault.check is Check.SIMULATION
    assert fault.line.startswith(f"{PART}, case 0: {problem}")
    assert "1 of 2 equal bit for bit" in text


@pytest.mark.parametrize("limit", ["LARGEST_NODE_UPDATES", "LARGEST_LEAD_BYTES"])
def test_a_too_large_simulation_is_refused(resimulated, monkeypatch, limit):
    monkeypatch.setattr(f"fwdecg.library.check.redraws.{limit}", 1e3)
    text, (fault,) = resimulated(1)
    assert "was not simulated again: it needs" in fault.problem
    assert "the limit is 1000; skip simulations with --sample 0" in fault.problem
    assert text.endswith("none could be compared")


def test_a_sample_is_spread_over_the_conditions(small_config, stored_row):
    template = summarise_case(PART, stored_row(small_config, 0))
    cases = [
        template._replace(case_id=case_id, condition=CONDITIONS[case_id % len(CONDITIONS)].name)
        for case_id in range(40)
    ]
    samples = [draw_sample(cases, 5, np.random.default_rng(seed)) for seed in (0, 1)]
    for sample in samples:
        assert {case.condition for case in sample} == {kind.name for kind in CONDITIONS}
        ids = [case.case_id for case in sample]
        assert len(ids) == 5
        assert ids == sorted(ids)
    assert samples[0] != samples[1]
