"""Connection to Ray, signals and threads of a job."""

import json
import os
import socket
import sys

import pytest

from fwdecg.errors import ConfigError
from fwdecg.experiment import command_line as command
from fwdecg.experiment.command_line import connect_to_ray, run_job

LOCAL_RUN = """
import os
import signal
import time
from pathlib import Path

import ray
from ray._common.usage import usage_lib

from fwdecg.experiment.command_line import connect_to_ray, run_job

LISTENING = "0A"
# 127.0.0.1, the same written as IPv6, ::1
LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")

@ray.remote
def work():
    return os.nice(0)

def process_tree(pid):
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from process_tree(int(child))

def sockets_of_tree():
    for pid in process_tree(os.getpid()):
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(handle)
            except OSError:  # closed in the meantime
                continue
            if target.startswith("socket:["):
                yield target[8:-1]

def listening():
    own = set(sockets_of_tree())
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTENING and words[9] in own:
                yield words[1].split(":")[0]

def main():
    connect_to_ray()
    print("niceness of a task:", ray.get(work.remote()))
    addresses = list(listening())
    print("listening:", len(addresses))
    print("outside loopback:", sum(address not in LOOPBACK for address in addresses))
    print("reports:", usage_lib.usage_stats_enabled())
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)

if __name__ == "__main__":
    run_job(main)
"""


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="sockets are read from /proc")
def test_a_local_cluster_is_private_and_sigterm_interrupts_the_job(
    run_python, monkeypatch, tmp_path
):
    """It listens on loopback only and sends no usage statistics."""
    script = tmp_path / "local_run.py"
    script.write_text(LOCAL_RUN)
    for variable in ("RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED", "RAY_ADDRESS"):
        monkeypatch.delenv(variable, raising=False)
    done = run_python(script, code=130)
    assert done.stderr == "interrupted; the same command resumes\n"
    printed = dict(line.split(": ") for line in done.stdout.splitlines())
    assert printed["niceness of a task"] == "0"
    assert int(printed["listening"]) > 3
    assert printed["outside loopback"] == "0"
    assert printed["reports"] == "False"


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("RAY_gcs_server_port_wait_time_s", "0", "Ray's local cluster did not start (Timed out"),
        ("TMPDIR", "long", "set RAY_TMPDIR to a short path, such as /tmp"),
    ],
)
def test_a_cluster_that_does_not_start_ends_in_one_line(
    variable, value, message, run_python, monkeypatch, tmp_path
):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    script = tmp_path / "start.py"
    script.write_text(
        "from fwdecg.experiment.command_line import connect_to_ray, run_job\n"
        "run_job(connect_to_ray)\n"
    )
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    changed = {variable: str(long) if value == "long" else value}
    done = run_python(script, code=2 if variable == "TMPDIR" else 1, **changed)
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("scheme", ["", "ray://"])
@pytest.mark.parametrize("host", ["127.0.0.1", "unknown.invalid"])
def test_an_address_without_a_cluster_is_an_error(scheme, host, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"{scheme}{host}:{port}")
    with pytest.raises(ConfigError, match=f"{host}:{port}: no Ray cluster answers there"):
        connect_to_ray()


@pytest.fixture
def threads_of_a_job(monkeypatch, tmp_path):
    """Return a function that runs a job and returns the OMP_NUM_THREADS that it sees."""

    def run(*, found, submission=None, quota="max 100000"):
        quota_file = tmp_path / "cpu.max"
        quota_file.write_text(quota)
        monkeypatch.setattr(command, "CGROUP_CPU_QUOTA", quota_file)
        monkeypatch.setenv("OMP_NUM_THREADS", found)
        monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
        if submission is not None:
            monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(submission))
        seen = []
        with pytest.raises(SystemExit):
            run_job(lambda: seen.append(os.environ["OMP_NUM_THREADS"]))
        return seen[0]

    return run


def test_a_submitted_job_gets_one_thread_per_usable_cpu(threads_of_a_job):
    """Ray itself limits the driver to one thread."""
    allowed = str(len(os.sched_getaffinity(0)))
    plain = {"runtime_env": {"env_vars": {}}}
    assert threads_of_a_job(found="1", submission=plain) == allowed
    assert threads_of_a_job(found="1", submission={"metadata": {}}) == allowed
    assert threads_of_a_job(found="1", submission={"runtime_env": {"env_vars": None}}) == allowed
    assert threads_of_a_job(found="1", submission=plain, quota="100000 100000") == "1"
    assert threads_of_a_job(found="1", submission=plain, quota="50000 100000") == "1"


def test_a_number_of_threads_set_by_the_user_is_kept(threads_of_a_job):
    chosen = {"runtime_env": {"env_vars": {"OMP_NUM_THREADS": "1"}}}
    assert threads_of_a_job(found="1", submission=chosen) == "1"
    assert threads_of_a_job(found="3", submission={"runtime_env": {}}) == "3"
    assert threads_of_a_job(found="1") == "1"
