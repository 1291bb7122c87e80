"""Faults that really happen to the workers of a build: each ends with the bytes of a quiet one."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from ray import cloudpickle
from ray.exceptions import (
    NodeDiedError,
    OutOfMemoryError,
    RuntimeEnvSetupError,
    WorkerCrashedError,
)

from fwdecg.cases.simulation import simulate_case
from fwdecg.errors import CaseError, LibraryError, RunError
from fwdecg.library.build import build_library
from fwdecg.library.check.verify import check_library
from fwdecg.library.part import build_part
from fwdecg.library.part_plan import plan_parts
from fwdecg.runtime import task_pool as fanout
from fwdecg.runtime.storage import Store
from fwdecg.runtime.task_pool import MAX_ATTEMPTS, Task, run_tasks
from fwdecg.runtime.telemetry import BUILD

# Workers cannot import the tests; what is defined here travels to them whole.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def case_bytes(root):
    return {path.name: path.read_bytes() for path in sorted((root / "cases").iterdir())}


@pytest.fixture(scope="module")
def quiet(small_config, tmp_path_factory):
    """The files of a library that nothing happened to."""
    root = tmp_path_factory.mktemp("quiet")
    for part in plan_parts(small_config, []):
        build_part(small_config, Store.at(root), part)
    return case_bytes(root)


def first_time(folder, case):
    """True once for each case, whichever worker asks."""
    try:
        (folder / str(case.spec.case_id)).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def killed_once(folder, case, config):
    if case.spec.case_id % 3 == 0 and first_time(folder, case):
        os.kill(os.getpid(), signal.SIGKILL)
    return simulate_case(case, config)


def without_space_once(folder, case, config):
    if first_time(folder, case):
        raise OSError(errno.ENOSPC, "No space left on device")
    return simulate_case(case, config)


def killed_always(case, config):
    if case.spec.case_id == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return simulate_case(case, config)


def failing(case, config):
    if case.spec.case_id in (1, 6):
        raise CaseError("u is not finite at t = 5 ms")
    return simulate_case(case, config)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("fault", [killed_once, without_space_once])
def test_faults_that_pass_leave_no_trace(fault, quiet, ray_cluster, small_config, tmp_path):
    seen, root = tmp_path / "seen", tmp_path / "library"
    seen.mkdir()
    manifest = build_library(small_config, root, partial(fault, seen))
    assert list(seen.iterdir())
    assert manifest["quarantined"] == []
    assert case_bytes(root) == quiet
    assert check_library(root).faults == ()


@pytest.mark.ray
@pytest.mark.slow
def test_a_case_that_kills_its_workers_is_quarantined(ray_cluster, small_config, tmp_path):
    manifest = build_library(small_config, tmp_path, killed_always)
    assert manifest["quarantined"] == [6]
    reason = Store.at(tmp_path).read_json("quarantine/case-000006.json")["error"]
    assert reason.startswith("RunError: case 6: its workers died again and again")
    assert check_library(tmp_path, sample=0).faults == ()


@pytest.mark.ray
def test_a_case_that_fails_is_tried_once_and_quarantined(ray_cluster, small_config, tmp_path):
    manifest = build_library(small_config, tmp_path, failing)
    assert manifest["quarantined"] == [1, 6]
    assert manifest["counts"]["ok"]["all"]["all"] == 8
    assert check_library(tmp_path, sample=0).faults == ()


@pytest.mark.ray
def test_a_case_that_takes_too_long_is_quarantined(ray_cluster, small_config, tmp_path):
    config = replace(small_config, cases=3, case_time_limit_s=1e-9)
    with pytest.raises(LibraryError, match="every case is quarantined"):
        build_library(config, tmp_path)
    reason = Store.at(tmp_path).read_json("quarantine/case-000000.json")["error"]
    assert "took longer than library.case_time_limit_s = 1e-09" in reason


def failing_with(error, folder):
    """Work that leaves a file for each attempt and raises."""

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
def test_only_trouble_that_may_pass_is_tried_again(
    error, attempts, ray_cluster, tmp_path, monkeypatch
):
    monkeypatch.setattr(fanout, "FIRST_WAIT_S", 0.01)
    with pytest.raises(type(error), match=str(error.args[-1])):
        run_tasks(
            deque([Task("this", failing_with(error, tmp_path), on_result=print, on_failure=print)]),
            BUILD,
        )
    assert len(list(tmp_path.iterdir())) == attempts


def task_after(attempts, lost, nodes_lost=0):
    return Task(
        "case 3", int, on_result=print, on_failure=lost, attempts=attempts, nodes_lost=nodes_lost
    )


@pytest.mark.parametrize("error", [WorkerCrashedError(), OutOfMemoryError("killed")])
def test_a_task_whose_workers_die_is_given_up_in_the_end(error):
    lost = []
    again = fanout._next_attempt(task_after(0, lost.append), error)
    assert (again.attempts, lost) == (1, [])
    assert fanout._next_attempt(task_after(MAX_ATTEMPTS - 1, lost.append), error) is None
    assert "case 3: its workers died again and again" in str(lost[0])


def test_a_cluster_that_fails_is_not_the_fault_of_the_task():
    error = RuntimeEnvSetupError("the working directory cannot be fetched")
    assert fanout._next_attempt(task_after(0, pytest.fail), error).attempts == 1
    with pytest.raises(RunError, match="the cluster failed again and again; .*cannot be fetched"):
        fanout._next_attempt(task_after(MAX_ATTEMPTS - 1, pytest.fail), error)


def test_the_loss_of_nodes_counts_apart():
    again = fanout._next_attempt(task_after(MAX_ATTEMPTS - 1, pytest.fail), NodeDiedError("lost"))
    assert (again.attempts, again.nodes_lost) == (MAX_ATTEMPTS - 1, 1)
    lost = []
    exhausted = task_after(MAX_ATTEMPTS - 1, lost.append, fanout.MAX_NODE_LOSSES)
    assert fanout._next_attempt(exhausted, NodeDiedError("lost")) is None
    assert lost


@pytest.mark.ray
def test_what_follows_from_a_task_may_add_more(ray_cluster):
    outcomes, tasks = [], deque()

    def count(number):
        outcomes.append(number)
        if number < 3:
            tasks.append(Task("next", partial(int, number + 1), on_result=count, on_failure=print))

    tasks.append(Task("first", partial(int, 0), on_result=count, on_failure=print))
    run_tasks(tasks, BUILD)
    assert outcomes == [0, 1, 2, 3]


@pytest.mark.ray
def test_the_cost_of_tasks_is_that_of_the_processes_that_did_them(ray_cluster):
    def spin():
        import time

        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass

    tasks = [
        Task(f"{number}", spin, on_result=lambda _: None, on_failure=print) for number in range(3)
    ]
    before = time.process_time()
    cost = run_tasks(deque(tasks), BUILD)
    assert cost.core_seconds >= 3 * 0.3
    assert time.process_time() - before < 3 * 0.3  # this process waited
    assert cost.gpu_seconds == 0.0
    assert cost.peak_memory_bytes > 10e6


def test_a_gpu_is_paid_for_while_a_task_holds_it():
    _, cost = fanout._call(partial(time.sleep, 0.4), 0.5)
    assert 0.5 * 0.4 <= cost.gpu_seconds < 0.4
    assert cost.core_seconds < 0.4


CLUSTER = """
import sys, threading, time
import ray
from ray.cluster_utils import Cluster
from fwdecg.library.build import build_library
from fwdecg.config import load
from fwdecg.experiment.experiment import Experiment
from pathlib import Path

if __name__ == "__main__":
    preset, root = Path(sys.argv[1]), Path(sys.argv[2])
    quick = {"health_check_period_ms": 500, "health_check_timeout_ms": 1000,
             "health_check_failure_threshold": 2, "health_check_initial_delay_ms": 0}
    cluster = Cluster(initialize_head=True, head_node_args={
        "num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 * 2**20,
        "_system_config": quick})
    node = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    ray.init(address=cluster.address, log_to_driver=False)

    def remove():
        while len(list((root / ".spool").glob("*.arrow"))) < 4:
            time.sleep(0.02)
        cluster.remove_node(node, allow_graceful=False)
        print("node removed", flush=True)

    threading.Thread(target=remove).start()
    build_library(load(Experiment, preset, sys.argv[3:]).library, root)
    print("nodes left:", sum(node["Alive"] for node in ray.nodes()), flush=True)
    ray.shutdown()
    cluster.shutdown()
"""


@pytest.mark.ray
def test_a_task_has_what_it_needs_of_a_node(ray_cluster):
    def resources():
        import ray

        return ray.get_runtime_context().get_assigned_resources(), os.environ.get("FWDECG_TEST")

    found = []
    options = {"num_cpus": 2, "runtime_env": {"env_vars": {"FWDECG_TEST": "yes"}}}
    plain = Task(name="plain", work=resources, on_result=found.append, on_failure=found.append)
    run_tasks(deque([plain]), BUILD)
    run_tasks(deque([replace(plain, options=options)]), BUILD)
    assert found == [({"CPU": 1.0}, None), ({"CPU": 2.0}, "yes")]


@pytest.mark.ray
@pytest.mark.slow
def test_a_node_is_removed_in_the_middle(brief_preset, tmp_path):
    script, root = tmp_path / "cluster.py", tmp_path / "library"
    script.write_text(CLUSTER)
    keys = ("library.cases=24", "library.solver.cv_error=0.01")
    command = [sys.executable, str(script), str(brief_preset), str(root), *keys]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    options = {"env": environment, "capture_output": True, "text": True, "timeout": 150}
    done = subprocess.run(command, check=False, **options)
    assert done.returncode == 0, done.stderr
    assert "node removed" in done.stdout
    assert "nodes left: 1" in done.stdout
    report = check_library(root, sample=8)
    assert report.faults == ()
    assert not (root / ".spool").exists()
