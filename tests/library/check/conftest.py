"""A small library that a test may damage, and single rows as the check reads them."""

import json
import shutil
from functools import cache

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fwdecg.cases.draw import draw_case
from fwdecg.cases.simulation import simulate_case
from fwdecg.library.check.rows import read_rows
from fwdecg.library.schema import case_table


@pytest.fixture
def root(small_library, tmp_path):
    """The folder of a copied library."""
    shutil.copytree(small_library.store.folder, tmp_path / "library")
    return tmp_path / "library"


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
        copies = {name: v.copy() if hasattr(v, "copy") else v for name, v in row.items()}
        return dict(copies)

    return read
