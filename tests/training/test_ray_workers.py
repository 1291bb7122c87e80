"""Trainings on the workers of Ray Train: where they resume, and which failures they retry."""

import os
import signal
import sys
import time
from dataclasses import asdict, replace
from functools import partial

import pytest
import ray.train
import torch
from ray import cloudpickle
from synthetic import make_spec, splits, train

from fwdecg.errors import LibraryError, ResultError
from fwdecg.runtime import nodes
from fwdecg.training import ray_workers
from fwdecg.training.checkpoint import load_history, newest_checkpoint
from fwdecg.training.ray_workers import WorkerTask, first_failure, train_on_workers

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def spec_of(epochs):
    """Return a specification whose epochs do not depend on how many follow."""
    spec = make_spec(epochs=epochs, schedule="plateau", workers=1)
    loss = replace(spec.training.loss, spectral_weight=0.0)
    return replace(spec, training=replace(spec.training, loss=loss))


def worker_task(epochs, folder, load_splits):
    return WorkerTask(
        spec=spec_of(epochs), folder=folder, visible=folder, load_splits=load_splits, threads=1
    )


def load_or_die(data, folder):
    """Kill the worker at the first call, return the cases at the second."""
    marker = folder / "killed"
    if not marker.exists():
        marker.touch()
        time.sleep(3.0)  # Ray Train does not retry a worker that dies while it starts the loop
        os.kill(os.getpid(), signal.SIGKILL)
    return data


def results(folder):
    """Return the records of all epochs without times, costs and the unused spectral weight."""
    records = [asdict(record) for record in load_history(newest_checkpoint(folder))]
    left_out = ("omega", "seconds", "core_seconds", "gpu_seconds", "peak_memory_bytes")
    return [{name: value for name, value in r.items() if name not in left_out} for r in records]


@pytest.mark.ray
@pytest.mark.slow
def test_a_training_moves_to_ray_survives_a_killed_worker_and_moves_back(ray_cluster, tmp_path):
    folder = tmp_path / "moved"
    train(spec_of(1), splits(), folder)
    (folder / "config.json").touch()
    train_on_workers(
        worker_task(2, folder, partial(load_or_die, splits(), folder)),
        scaling=ray.train.ScalingConfig(num_workers=1, resources_per_worker={"CPU": 1.0}),
        retries=1,
        callbacks=[],
    )
    assert (folder / "killed").exists()
    (last,) = train(spec_of(3), splits(), folder)
    assert last.epoch == 3
    train(spec_of(3), splits(), tmp_path / "whole")
    for found, expected in zip(results(folder), results(tmp_path / "whole"), strict=True):
        assert found == pytest.approx(expected, rel=1e-5)


def test_a_worker_must_see_the_result_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(nodes, "VISIBILITY_DELAYS_S", ())
    task = worker_task(1, tmp_path, splits)
    with pytest.raises(ResultError, match="is not the same folder on all nodes"):
        ray_workers._worker_loop({"task": task, "gpus": 0.0})


def test_a_divergence_is_returned_so_that_it_is_not_retried(tmp_path, monkeypatch):
    monkeypatch.setattr(ray.train.torch, "get_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(ray_workers, "quiet_ray_data", lambda: None)
    (tmp_path / "config.json").touch()
    cases = splits()
    cases.train.phi_e[0, 0] = float("inf")
    task = worker_task(1, tmp_path, lambda: cases)
    reason = ray_workers._worker_loop({"task": task, "gpus": 0.0})
    assert reason.startswith("the training loss is not finite")


def test_the_error_of_a_worker_is_found():
    group_error = partial(ray.train.WorkerGroupError, "failed")
    own, other = LibraryError("damaged"), RuntimeError("connection reset")
    assert first_failure(group_error({0: other, 1: own})) is own
    assert first_failure(group_error({0: other})) is other
    assert first_failure(ray.train.ControllerError(other)) is other
