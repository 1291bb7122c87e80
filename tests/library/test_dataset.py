import numpy as np
import pytest
import ray

from fwdecg.library.dataset import shuffled_batches, split_dataset

pytestmark = pytest.mark.ray
COLUMNS = ["case_id", "u", "phi_e"]


def case_ids(batches):
    return [case_id for batch in batches for case_id in batch["case_id"].tolist()]


def test_only_the_wanted_columns_of_the_split_are_read(ray_cluster, small_library):
    rows = split_dataset(small_library, "train", ["case_id", "u"]).take_all()
    expected = small_library.table("train", ["case_id", "u"])
    assert sorted(row["case_id"] for row in rows) == expected["case_id"].to_pylist()
    assert set(rows[0]) == {"case_id", "u"}
    u = expected["u"].combine_chunks().to_numpy_ndarray()
    for row in rows:
        at = expected["case_id"].to_pylist().index(row["case_id"])
        np.testing.assert_array_equal(row["u"], u[at])


def test_each_case_comes_once_in_an_order_of_the_seed(ray_cluster, small_library):
    def order(seed):
        dataset = split_dataset(small_library, "train", ["case_id"], seed=seed)
        return case_ids(shuffled_batches(dataset, batch_size=3, buffer_cases=4, seed=seed))

    orders = [order(seed) for seed in (1, 1, 2, 3)]
    assert orders[0] == orders[1]
    assert len({tuple(each) for each in orders}) > 1
    everything = small_library.table("train", ["case_id"])["case_id"].to_pylist()
    for each in orders:
        assert sorted(each) == everything


def test_cases_are_read_where_no_processor_is_left(ray_cluster, small_library):
    """So a training whose workers hold all that a lost node has left does not wait for ever."""

    class Holder:
        def ready(self):
            return True

    dataset = split_dataset(small_library, "train", ["case_id"], reserve=False)
    holder = ray.remote(num_cpus=2)(Holder).remote()
    assert ray.get(holder.ready.remote())
    rows = dataset.take_all()
    expected = small_library.table("train", ["case_id"])["case_id"].to_pylist()
    assert sorted(row["case_id"] for row in rows) == expected
    ray.kill(holder)
