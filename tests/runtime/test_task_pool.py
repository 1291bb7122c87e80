"""Tasks whose workers fail: the pool retries them, and a build ends with the same bytes."""

import errno
import os
import signal
import sys
import time
from collections import deque
from dataclasses import replace
from functools import partial

import pytest
from ray import cloudpickle
from ray.exceptions import (
    NodeDiedError,
    OutOfMemoryError,
    RuntimeEnvSetupError,
    WorkerCrashedError,
)

from fwdecg.cases.simulation import simulate_case
from fwdecg.errors import RunError
from fwdecg.library.build import build_library
from fwdecg.library.build_plan import plan_parts
from fwdecg.library.check.verify import check_library
from fwdecg.runtime import task_pool
from fwdecg.runtime.storage import Store
from fwdecg.runtime.task_pool import MAX_ATTEMPTS, Task, run_tasks
from fwdecg.runtime.telemetry import BUILD

# Workers cannot import this module, so pickle its functions by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def killed(folder, case, config):
    """Kill the worker: always with case 6, and with every other third case once."""
    marker = folder / str(case.spec.case_id)
    if case.spec.case_id == 6 or (case.spec.case_id % 3 == 0 and not marker.exists()):
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return simulate_case(case, config)


@pytest.mark.ray
@pytest.mark.slow
def test_a_build_whose_workers_are_killed(
    small_library, ray_cluster, small_config, monkeypatch, tmp_path
):
    """All other parts have the same bytes; the case that always kills its worker is quarantined."""
    monkeypatch.setattr(task_pool, "MAX_ATTEMPTS", 3)
    markers, root = tmp_path / "killed", tmp_path / "library"
    markers.mkdir()
    manifest = build_library(small_config, root, partial(killed, markers))
    assert sorted(path.name for path in markers.iterdir()) == ["0", "3", "6", "9"]
    assert manifest["quarantined"] == [6]
    reason = Store.at(root).read_json("quarantine/case-000006.json")["error"]
    assert reason.startswith("RunError: case 6: its workers died repeatedly")
    for part in (plan_parts(small_config, [])[each] for each in (0, 2)):
        assert Store.at(root).read(part.file).equals(small_library.store.read(part.file))
    assert check_library(root).faults == ()


def failing_with(error, folder):
    """Return a function that leaves a file for each call and raises."""

    def work():
        (folder / f"{time.time_ns()}").touch()
        raise error

    return work


@pytest.mark.ray
@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (ValueError("no such thing"), 1),
        (PermissionError(errno.EACCES, "Permission denied"), 1),
        (OSError(errno.ENOSPC, "No space left on device"), MAX_ATTEMPTS),
    ],
)
def test_only_transient_errors_are_retried(error, attempts, ray_cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(task_pool, "FIRST_DELAY_S", 0.01)
    with pytest.raises(type(error), match=str(error.args[-1])):
        run_tasks(deque([Task("this", failing_with(error, tmp_path), print, print)]), BUILD)
    assert len(list(tmp_path.iterdir())) == attempts


def task_after(attempts, on_failure, nodes_lost=0):
    return Task("case 3", int, print, on_failure, attempts=attempts, nodes_lost=nodes_lost)


@pytest.mark.parametrize("error", [WorkerCrashedError(), OutOfMemoryError("killed")])
def test_a_task_whose_workers_keep_dying_is_reported(error):
    failures = []
    retry = task_pool._next_attempt(task_after(0, failures.append), error)
    assert (retry.attempts, failures) == (1, [])
    assert task_pool._next_attempt(task_after(MAX_ATTEMPTS - 1, failures.append), error) is None
    assert "case 3: its workers died repeatedly" in str(failures[0])


def test_a_cluster_that_keeps_failing_is_an_error_of_the_run():
    error = RuntimeEnvSetupError("the working directory cannot be fetched")
    assert task_pool._next_attempt(task_after(0, pytest.fail), error).attempts == 1
    with pytest.raises(RunError, match="the cluster failed repeatedly; .*cannot be fetched"):
        task_pool._next_attempt(task_after(MAX_ATTEMPTS - 1, pytest.fail), error)


def test_lost_nodes_are_counted_separately():
    lost = NodeDiedError("lost")
    retry = task_pool._next_attempt(task_after(MAX_ATTEMPTS - 1, pytest.fail), lost)
    assert (retry.attempts, retry.nodes_lost) == (MAX_ATTEMPTS - 1, 1)
    failures = []
    exhausted = task_after(MAX_ATTEMPTS - 1, failures.append, task_pool.MAX_NODE_LOSSES)
    assert task_pool._next_attempt(exhausted, lost) is None
    assert failures


@pytest.mark.ray
def test_a_callback_may_append_tasks(ray_cluster):
    results, tasks = [], deque()

    def count(number):
        results.append(number)
        if number < 3:
            tasks.append(Task("next", partial(int, number + 1), count, print))

    tasks.append(Task("first", int, count, print))
    run_tasks(tasks, BUILD)
    assert results == [0, 1, 2, 3]


@pytest.mark.ray
def test_the_cost_is_measured_on_the_workers(ray_cluster):
    def spin():
        import time

        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass

    tasks = deque(Task(f"{number}", spin, lambda _: None, print) for number in range(3))
    before = time.process_time()
    cost = run_tasks(tasks, BUILD)
    assert cost.core_seconds >= 3 * 0.3
    assert time.process_time() - before < 3 * 0.3  # this process only waits
    assert cost.gpu_seconds == 0.0
    assert cost.peak_memory_bytes > 10e6


def test_a_task_is_charged_for_the_gpus_it_reserves():
    _, cost = task_pool._call(partial(time.sleep, 0.4), 0.5)
    assert 0.5 * 0.4 <= cost.gpu_seconds < 0.4
    assert cost.core_seconds < 0.4


@pytest.mark.ray
def test_a_task_gets_the_resources_of_its_options(ray_cluster):
    def resources():
        import ray

        return ray.get_runtime_context().get_assigned_resources(), os.environ.get("FWDECG_TEST")

    found = []
    options = {"num_cpus": 2, "runtime_env": {"env_vars": {"FWDECG_TEST": "yes"}}}
    plain = Task("plain", resources, found.append, found.append)
    run_tasks(deque([plain]), BUILD)
    run_tasks(deque([replace(plain, options=options)]), BUILD)
    assert found == [({"CPU": 1.0}, None), ({"CPU": 2.0}, "yes")]
