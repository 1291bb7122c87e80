"""No reader executes code from the files of an untrusted library.

Ray Data registers extension types with pyarrow, one of which unpickles objects. A plain Parquet
reader then executes code from a file. The tests therefore import Ray Data.
"""

import json
import pickle
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray.data  # noqa: F401

from fwdecg.cases.splits import TRAIN
from fwdecg.errors import LibraryError
from fwdecg.evaluation.prediction_actors import forecast_on_cluster
from fwdecg.library.build_plan import plan_parts
from fwdecg.library.check.verify import check_library
from fwdecg.library.dataset import split_dataset
from fwdecg.library.labelled_cases import stream_labelled_cases
from fwdecg.library.part import publish_part
from fwdecg.library.reader import open_library
from fwdecg.runtime.storage import Store


class Malicious:
    """Creates a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return (Path.mkdir, (self.folder,))


def objects(payload, rows):
    """A column of pickled objects, as Ray Data writes them."""
    return _column(pa.array([payload] * rows, pa.large_binary()), "ray.data.arrow_pickled_object")


def tensors(payload, rows):
    """A column of tensors with a pickled shape."""
    column = pa.array([[0.0]] * rows, pa.large_list(pa.float32()))
    return _column(column, "ray.data.arrow_tensor_v2", payload)


def python_type(payload, rows):
    """A column of a pickled type, as old versions of pyarrow wrote it."""
    column = pa.array([0] * rows, pa.int8())
    return _column(column, "arrow.py_extension_type", payload)


def _column(column, extension, parameters=b""):
    metadata = {"ARROW:extension:name": extension, "ARROW:extension:metadata": parameters}
    return column, metadata


@pytest.fixture(
    params=[(objects, "split"), (objects, "seed"), (tensors, "u"), (python_type, "case_id")],
    ids=lambda param: f"{param[0].__name__}-{param[1]}",
)
def library(request, small_library, tmp_path):
    """A library with a malicious column in each part, and the folder that it would create."""
    kind, name = request.param
    root, trace = tmp_path / "library", tmp_path / "trace"
    shutil.copytree(small_library.store.folder, root)
    payload = pickle.dumps(Malicious(trace))
    manifest = json.loads((root / "manifest.json").read_text())
    for part in manifest["parts"]:
        table = pq.read_table(root / part["file"])
        column, metadata = kind(payload, len(table))
        place = table.schema.get_field_index(name)
        field = pa.field(name, column.type, metadata=metadata)
        pq.write_table(table.set_column(place, field, column), root / part["file"])
        part["bytes"] = (root / part["file"]).stat().st_size
    (root / "manifest.json").write_text(json.dumps(manifest))
    return root, trace


def test_the_payload_would_do_harm(tmp_path):
    pickle.loads(pickle.dumps(Malicious(tmp_path / "trace")))
    assert (tmp_path / "trace").is_dir()


def read_with_ray_data(library):
    split_dataset(library, TRAIN, ("case_id", "u", "phi_e")).take_all()


@pytest.mark.parametrize(
    "read",
    [
        lambda library: library.table(TRAIN).to_pylist(),
        lambda library: list(stream_labelled_cases(library)),
        lambda library: next(forecast_on_cluster(library, [], 1)),
        pytest.param(read_with_ray_data, marks=pytest.mark.ray),
    ],
    ids=["table", "stream", "cluster", "ray_data"],
)
def test_readers_refuse_it(library, read, request):
    root, trace = library
    if read is read_with_ray_data:
        request.getfixturevalue("ray_cluster")
    with pytest.raises(LibraryError, match="a part cannot be read|no library has a column"):
        read(open_library(root))
    assert not trace.exists()


def test_checking_reports_it(library):
    root, trace = library
    assert check_library(root, sample=0).faults
    assert not trace.exists()


def test_a_build_does_not_resume_from_it(library, small_config):
    root, trace = library
    for part in plan_parts(small_config, []):
        with pytest.raises(LibraryError, match="is damaged"):
            publish_part(small_config, Store.at(root), part, set())
    assert not trace.exists()
