import shutil

import numpy as np
import pytest
import ray

from fwdecg.library.dataset import split_dataset
from fwdecg.library.reader import open_library

pytestmark = pytest.mark.ray


def test_a_split_has_each_case_once_and_only_the_requested_columns(ray_cluster, small_library):
    rows = split_dataset(small_library, "train", ["case_id", "u"]).take_all()
    expected = small_library.table("train", ["case_id", "u"])
    case_ids = expected["case_id"].to_pylist()
    assert sorted(row["case_id"] for row in rows) == case_ids
    assert set(rows[0]) == {"case_id", "u"}
    u = expected["u"].combine_chunks().to_numpy_ndarray()
    for row in rows:
        np.testing.assert_array_equal(row["u"], u[case_ids.index(row["case_id"])])


def test_the_path_of_a_library_may_contain_any_character(ray_cluster, small_library, tmp_path):
    """Ray takes the rest of a path after "?" for the query of a URI."""
    copy = tmp_path / "what? #1 100%"
    shutil.copytree(small_library.store.folder, copy)
    rows = split_dataset(open_library(copy), "train", ["case_id"]).take_all()
    assert len(rows) == small_library.count("train")


def test_cases_are_read_while_workers_reserve_every_cpu(ray_cluster, small_library):
    """Training workers may reserve every CPU that the loss of a node has left."""

    class Worker:
        def ready(self):
            return True

    dataset = split_dataset(small_library, "train", ["case_id"])
    worker = ray.remote(num_cpus=2)(Worker).remote()
    assert ray.get(worker.ready.remote())
    expected = small_library.table("train", ["case_id"])["case_id"].to_pylist()
    assert sorted(row["case_id"] for row in dataset.take_all()) == expected
