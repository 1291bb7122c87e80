import os
from functools import partial
from unittest.mock import Mock

from ray import cloudpickle
from ray.data import DataContext
from ray.tune.experiment import Trial

from fwdecg.errors import ResultError
from fwdecg.runtime.ray_private import (
    LISTING_BY_TASKS,
    bind_to_loopback,
    files_listed_by_driver,
    trial_failure,
)


def test_the_loopback_switch_exists_in_this_release_of_ray(monkeypatch):
    from ray._private import ray_constants

    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", True)
    monkeypatch.delenv(ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, raising=False)
    bind_to_loopback()
    assert ray_constants.ENABLE_RAY_CLUSTER is False
    assert os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] == "0"
    monkeypatch.delenv(ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR)


def test_the_reader_of_ray_data_is_restored():
    context = DataContext.get_current()
    default = getattr(context, LISTING_BY_TASKS)
    with files_listed_by_driver():
        assert getattr(context, LISTING_BY_TASKS) is False
    assert getattr(context, LISTING_BY_TASKS) == default


def test_the_failure_of_a_trial_is_read_before_tune_moves_its_files(tmp_path):
    written, pickled = tmp_path / "error.txt", tmp_path / "error.pkl"
    written.write_text("the node running low on memory")
    pickled.write_bytes(cloudpickle.dumps(ResultError("not the same folder")))
    failed = partial(Mock, spec=Trial, error_file=str(written), pickled_error_file=None)
    assert "low on memory" in trial_failure(failed())
    assert isinstance(trial_failure(failed(pickled_error_file=str(pickled))), ResultError)
    assert trial_failure(failed(error_file=None)) == ""
