"""Actors of a cluster predict a library as this process does."""

import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from fwdecg.errors import CheckpointError, LibraryError
from fwdecg.evaluation.predictions import predict_library
from fwdecg.runtime.storage import Store

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(300),  # for a busy machine
    pytest.mark.usefixtures("ray_cluster"),
]


def test_the_cluster_writes_what_this_process_writes(library, members, tmp_path):
    paths = [tmp_path / "process.parquet", tmp_path / "cluster.parquet"]
    for path, on_cluster in zip(paths, (False, True), strict=True):
        run = predict_library(library, members, path, batch_size=3, on_cluster=on_cluster)
        assert run.cases == 10
    expected, found = (pq.read_table(path) for path in paths)
    assert found.schema.equals(expected.schema, check_metadata=True)
    for name in ("case_id", "condition", "split"):
        assert found[name].to_pylist() == expected[name].to_pylist()
    for name in expected.column_names[3:]:
        ecgs = [table[name].combine_chunks().to_numpy_ndarray() for table in (found, expected)]
        # The batches contain other cases, so float32 sums run in another order.
        np.testing.assert_allclose(*ecgs, rtol=1e-4, atol=1e-6)


def test_an_error_of_an_actor_reaches_the_driver(library, trained, tmp_path):
    state = {name: value * torch.nan for name, value in trained.state.items()}
    path = tmp_path / "ecg.parquet"
    broken = [replace(trained, state=state)]
    with pytest.raises(CheckpointError, match="not finite") as caught:
        predict_library(library, broken, path, batch_size=8, on_cluster=True)
    assert "\n" not in str(caught.value)
    assert not path.exists()


def erase_pages(part):
    """Write zeros over the cases, but keep the footer."""
    content = bytearray(part.read_bytes())
    metadata = pq.read_metadata(part)
    end = len(content) - metadata.serialized_size - 8
    content[4:end] = bytes(end - 4)
    part.write_bytes(content)


def test_a_part_that_cannot_be_read(library, trained, tmp_path):
    damaged = replace(library, store=Store.at(tmp_path / "library"))
    shutil.copytree(library.store.folder, tmp_path / "library")
    part = sorted((tmp_path / "library/cases").iterdir())[1]
    erase_pages(part)
    with pytest.raises(LibraryError, match=str(part)) as caught:
        predict_library(damaged, [trained], tmp_path / "ecg.parquet", batch_size=8, on_cluster=True)
    assert "\n" not in str(caught.value)
