"""The connection to Ray: a local run keeps to its machine, a dead address is refused at once."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fwdecg.errors import ConfigError
from fwdecg.experiment import command_line as command
from fwdecg.experiment.command_line import connect_to_ray, run_job

ROOT = Path(__file__).parents[1]

LOCAL_RUN = """
import os
from pathlib import Path

import ray
from ray._common.usage import usage_lib

from fwdecg.experiment.command_line import connect_to_ray

LISTENING = "0A"
# 127.0.0.1, the same written as IPv6, ::1
LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")

@ray.remote
def work():
    return os.getpid()

def family(pid):
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from family(int(child))

def own_sockets():
    for pid in family(os.getpid()):
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(handle)
            except OSError:  # closed meanwhile
                continue
            if target.startswith("socket:["):
                yield target[8:-1]

def listening():
    own = set(own_sockets())
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTENING and words[9] in own:
                yield words[1].split(":")[0]

if __name__ == "__main__":
    connect_to_ray()
    ray.get(work.remote())  # a worker is up
    addresses = list(listening())
    print("listening:", len(addresses))
    print("elsewhere:", sum(address not in LOOPBACK for address in addresses))
    print("reports:", usage_lib.usage_stats_enabled())
"""


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="sockets are read from /proc")
def test_a_local_run_listens_on_loopback_and_sends_no_statistics(tmp_path):
    script = tmp_path / "local_run.py"
    script.write_text(LOCAL_RUN)
    own = {"RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED", "RAY_ADDRESS"}
    environment = {key: value for key, value in os.environ.items() if key not in own}
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = dict(line.split(": ") for line in done.stdout.splitlines())
    assert int(said["listening"]) > 3
    assert said["elsewhere"] == "0"
    assert said["reports"] == "False"


@pytest.mark.parametrize("scheme", ["", "ray://"])
@pytest.mark.parametrize("host", ["127.0.0.1", "nobody.invalid"])
def test_an_address_where_nobody_listens_is_refused_at_once(scheme, host, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"{scheme}{host}:{port}")
    with pytest.raises(ConfigError, match=f"{host}:{port}: no Ray cluster answers there"):
        connect_to_ray()


ASKED_TO_STOP = """
import os
import signal
import time

from fwdecg.experiment.command_line import connect_to_ray, run_job

def main():
    connect_to_ray()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)

if __name__ == "__main__":
    run_job(main)
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_local_run_that_is_asked_to_stop_says_how_to_go_on(tmp_path):
    script = tmp_path / "asked_to_stop.py"
    script.write_text(ASKED_TO_STOP)
    done = subprocess.run(
        [sys.executable, str(script)],
        env={key: os.environ[key] for key in os.environ if key != "RAY_ADDRESS"}
        | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 130
    assert done.stderr == "interrupted; the same command resumes\n"


@pytest.fixture
def threads_of_a_job(monkeypatch, tmp_path):
    """OMP_NUM_THREADS as a job finds it, submitted or not, in a container or not."""

    def run(*, found, submission=None, limit="max 100000"):
        limits = tmp_path / "cpu.max"
        limits.write_text(limit)
        monkeypatch.setattr(command, "CONTAINER_LIMIT", limits)
        monkeypatch.setenv("OMP_NUM_THREADS", found)
        monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
        if submission is not None:
            monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(submission))
        seen = []
        with pytest.raises(SystemExit):
            run_job(lambda: seen.append(os.environ["OMP_NUM_THREADS"]))
        return seen[0]

    return run


def test_a_submitted_job_may_use_its_machine(threads_of_a_job):
    """Though Ray, which reserves no processor for its own process, tells it to use one thread."""
    allowed = str(len(os.sched_getaffinity(0)))
    plain = {"runtime_env": {"env_vars": {}}}
    assert threads_of_a_job(found="1", submission=plain) == allowed
    assert threads_of_a_job(found="1", submission={"metadata": {}}) == allowed
    assert threads_of_a_job(found="1", submission={"runtime_env": {"env_vars": None}}) == allowed
    assert threads_of_a_job(found="1", submission=plain, limit="100000 100000") == "1"
    assert threads_of_a_job(found="1", submission=plain, limit="50000 100000") == "1"


def test_a_number_of_threads_that_was_asked_for_stays(threads_of_a_job):
    chosen = {"runtime_env": {"env_vars": {"OMP_NUM_THREADS": "1"}}}
    assert threads_of_a_job(found="1", submission=chosen) == "1"
    assert threads_of_a_job(found="3", submission={"runtime_env": {}}) == "3"
    assert threads_of_a_job(found="1") == "1"
