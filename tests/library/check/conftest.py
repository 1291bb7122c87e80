"""A small library that a test may damage, and single rows as the check reads them."""

import json
import shutil
from dataclasses import replace
from functools import cache

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fwdecg.cases.draw import draw_case
from fwdecg.cases.simulation import simulate_case
from fwdecg.library.check.fault import Fault
from fwdecg.library.check.rows import read_rows
from fwdecg.library.schema import case_table


@pytest.fixture
def root(small_library, tmp_path):
    """The folder of a copied library."""
    shutil.copytree(small_library.store.folder, tmp_path / "library")
    return tmp_path / "library"


@pytest.fixture(scope="session")
def varied_config(small_config):
    """A configuration with varying D, whose parts also have the conducting fraction."""
    tissue = replace(
        small_config.tissue,
        remodelled_diffusivity_mm2_per_ms=(0.1, 0.12),
        diffusivity_variation=0.3,
        diffusivity_variation_length_mm=2.0,
    )
    recording = replace(small_config.recording, electrode_grid=(2, 3), electrode_grid_height_mm=5.0)
    solver = replace(small_config.solver, scheme="plain")  # without calibration of each D
    return replace(small_config, tissue=tissue, recording=recording, solver=solver)


@pytest.fixture(scope="session")
def run_check():
    """A function that runs a check and returns its result and the faults that it reports."""

    def run(check, *arguments):
        faults = []
        result = check(*arguments, lambda *fault: faults.append(Fault(*fault)))
        return result, faults

    return run


@pytest.fixture(scope="session")
def edit_json():
    """A function that edits a JSON file of a library."""

    def edit(root, file, **values):
        content = json.loads((root / file).read_text())
        (root / file).write_text(json.dumps(content | values))

    return edit


@cache
def _stored(config, case_id):
    buffer = pa.BufferOutputStream()
    pq.write_table(case_table(simulate_case(draw_case(config, case_id), config), config), buffer)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def stored_row():
    """A function that returns a new copy of the row of a case, as the check reads it."""

    def read(config, case_id):
        parquet = pq.ParquetFile(pa.BufferReader(_stored(config, case_id)))
        (row,) = read_rows(parquet, parquet.schema_arrow.names, config, pytest.fail)
        return {name: v.copy() if hasattr(v, "copy") else v for name, v in row.items()}

    return read
