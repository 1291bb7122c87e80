"""Each damage to a part's columns and values is reported."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fwdecg.library.check.rows import check_schema, check_values, read_rows, summarise_case
from fwdecg.library.schema import case_schema


def schema_problems(found, config):
    problems = []
    return check_schema(found, config, problems.append), problems


def replaced(schema, name, field):
    return schema.set(schema.names.index(name), field)


def test_the_schema_of_a_library_has_no_fault(small_config):
    schema = case_schema(small_config)
    assert schema_problems(schema, small_config) == (schema.names, [])


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda s: s.append(pa.field("mood", pa.string())), "has a column mood, which the schema"),
        (lambda s: s.remove(s.names.index("u")), "has no columns u: must have one"),
        (lambda s: s.append(s.field("u")), "has 2 columns u: must have one"),
        (lambda s: pa.schema(list(s)[::-1], s.metadata), "has its columns in another order"),
        (lambda s: s.remove_metadata(), "has schema version none: must be 1"),
        (
            lambda s: replaced(s, "u", pa.field("u", pa.float32(), False, s.field("u").metadata)),
            "column u has type float: must be extension",
        ),
        (
            lambda s: replaced(s, "split", s.field("split").with_nullable(True)),
            "has nullable True",
        ),
        (
            lambda s: replaced(s, "phi_e", s.field("phi_e").with_metadata({"unit": "mV"})),
            "column phi_e has unit mV: must be mm/ms",
        ),
    ],
)
def test_a_foreign_schema_is_reported(small_config, damage, problem):
    found = damage(case_schema(small_config))
    usable, problems = schema_problems(found, small_config)
    assert problem in problems[0]
    assert ("u" in usable) == ("columns u" not in problem and "type" not in problem)


def test_columns_that_depend_on_the_configuration_are_compared(small_config, varied_config):
    problems = "\n".join(schema_problems(case_schema(varied_config), small_config)[1])
    assert "has a column conducting_fraction, which the schema does not have" in problems
    assert "column phi_e has type extension" in problems  # of another number of electrodes


def test_nulls_are_reported_and_their_column_is_left_out(small_config):
    tensor = pa.fixed_shape_tensor(pa.float32(), (2,))
    lists = pa.array([[1.0, None], [3.0, 4.0]], pa.list_(pa.float32(), 2))
    columns = {
        "case_id": pa.array([0, 1]),
        "split": pa.array([None, "train"]),
        "phi_e": pa.ExtensionArray.from_storage(tensor, lists),
        "stimulus_x_mm": pa.array([None, 1.0]),  # null for a plane wave
    }
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), buffer)
    problems = []
    parquet = pq.ParquetFile(pa.BufferReader(buffer.getvalue()))
    rows = list(read_rows(parquet, list(columns), small_config, problems.append))
    assert rows == [{"case_id": 0, "stimulus_x_mm": None}, {"case_id": 1, "stimulus_x_mm": 1.0}]
    assert problems == [
        "column split has 1 null values: must have none",
        "column phi_e has 1 null values: must have none",
    ]


def value_problems(row, config):
    problems = []
    check_values(row, config, problems.append)
    return problems


def test_simulated_values_have_no_fault(varied_config, stored_row):
    assert value_problems(stored_row(varied_config, 1), varied_config) == []


@pytest.mark.parametrize(
    ("name", "index", "value", "problem"),
    [
        ("u", (3, 4, 5), np.nan, "u is not finite in 1 of 512 values"),
        ("u", 1, 7, "u is from 0 to 7: must be from -0.01 to 1.3"),
        ("u", 1, -0.1, "must be from -0.01 to 1.3"),
        ("u", 0, 0.5, "u is not 0 in the first frame"),
        ("phi_e", (0, 0), 0.5, "phi_e is not 0 in the first frame"),
        ("phi_e", (0, 3), np.inf, "phi_e is not finite in 1 of 48 values"),
        ("phi_e", 1, 0.0, "phi_e of electrode 1 is constant: it must vary"),
        ("diffusivity_mm2_per_ms", (0, 0), -0.1, "is from -0.1 to"),
        ("diffusivity_mm2_per_ms", (0, 0), np.nan, "is not finite in 1 of 64 values"),
        ("diffusivity_mm2_per_ms", ..., 0, "u is not 0 in 64 pixels without tissue"),
        ("conducting_fraction", (0, 0), 2, "is from 1 to 2: must be from 0 to 1"),
        ("conducting_fraction", (0, 0), 0, "disagree on whether 1 pixels conduct"),
        ("activated_fraction", None, 1.1, "is from 1.1 to 1.1: must be from 0.1 to 1"),
        ("activated_fraction", None, np.nan, "is not finite in 1 of 1 values"),
        ("active_fraction_at_end", None, -1.0, "is from -1 to -1: must be from 0 to 1"),
    ],
)
def test_impossible_values_are_reported(varied_config, stored_row, name, index, value, problem):
    row = stored_row(varied_config, 1)
    if index is None:
        row[name] = value
    else:
        row[name][index] = value
    problems = value_problems(row, varied_config)
    assert [found for found in problems if problem in found], problems


def test_a_second_stimulus_may_raise_u_further(small_config, stored_row):
    row = stored_row(small_config, 0)
    row["u"][1] = 1.5
    assert value_problems(row, small_config)
    config = replace(
        small_config,
        pacing=replace(small_config.pacing, protocol="reentry"),
        recording=replace(small_config.recording, duration_ms=300.0),
    )
    assert value_problems(row, config) == []


def test_a_row_without_a_column_skips_its_checks(small_config, stored_row):
    row = stored_row(small_config, 0)
    del row["u"]
    assert value_problems(row, small_config) == []
    assert summarise_case("part", row) is None
