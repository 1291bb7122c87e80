"""Clusters of separate Ray nodes on this machine, and jobs submitted to them as a person would."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[2]
RAY = str(Path(sys.executable).with_name("ray"))
LOOPBACK = "127.0.0.1"
LONGEST_START_S = 90.0
# A lost node is noticed in seconds instead of a minute.
QUICK = {
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "4",
    # What a process has not told of its tasks when it ends with its job is never known.
    "RAY_task_events_report_interval_ms": "100",
}


def until(condition, *, seconds, what):
    """Wait for a condition; fail with what is then to be said if it does not come."""
    deadline = time.monotonic() + seconds
    while not (held := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what()}"
        time.sleep(0.05)
    return held


def family(pid):
    """A process and all that stem from it."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))
    yield pid


@dataclass(frozen=True)
class Host:
    """Where a node runs: this machine, or a network namespace with an address of its own."""

    namespace: str = ""
    address: str = LOOPBACK

    @property
    def enter(self):
        """What stands before a command that is to run there."""
        return ("ip", "netns", "exec", self.namespace) if self.namespace else ()


THIS_MACHINE = Host()


class Node:
    """`ray start` and the processes that stem from it."""

    def __init__(self, name, host, options, environment, folder):
        self.name, self.host = name, host
        self._log = folder / f"{name}.log"
        own = [f"--node-name={name}", f"--node-ip-address={host.address}", "--block"]
        # Of its own, as on a machine of its own: one node unpacks what is submitted over another's.
        own += [f"--temp-dir={folder / name}", "--object-store-memory=100000000"]
        # Ports are Ray's own choice: other clusters may run on this machine.
        own += ["--dashboard-agent-listen-port=0"]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*host.enter, RAY, "start", *own, *options],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_up(self):
        def up():
            assert self._process.poll() is None, self._log.read_text()
            return "Ray runtime started" in self._log.read_text()

        until(up, seconds=LONGEST_START_S, what=self._log.read_text)

    @property
    def alive(self):
        return self._process.poll() is None

    def kill(self):
        """As a machine that loses its power: nothing of the node can still say anything."""
        for pid in [*family(self._process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()


@dataclass(frozen=True)
class Ended:
    """How a job ended: Ray's word for it, the exit code of its script, and all it said."""

    status: str
    exit_code: int | None
    log: str


class Job:
    """A job that was submitted, with `ray job submit` waiting for it."""

    def __init__(self, cluster, words):
        self._cluster = cluster
        self.name = f"{Path(words[0]).stem}-{time.monotonic_ns()}"
        self._log = cluster.folder / f"{self.name}.log"
        options = ["--working-dir", ".", "--submission-id", self.name, "--log-style=record"]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                cluster.ray("job", "submit", *options, "--", "python", *map(str, words)),
                cwd=ROOT,
                env=cluster.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def until(self, condition, *, seconds=240.0):
        """Wait until something holds, while the job runs."""

        def held():
            found = condition()
            assert found or self._process.poll() is None, self.said()
            return found

        return until(held, seconds=seconds, what=self.said)

    def said(self):
        return self._log.read_text()

    def stop(self):
        command = self._cluster.ray("job", "stop", self.name)
        subprocess.run(command, env=self._cluster.environment, check=True, capture_output=True)
        return self.end()

    def end(self, seconds=300.0):
        """Wait for its end."""
        self._process.wait(seconds)
        told = self._cluster.ask(f"api/jobs/{self.name}")
        log = self._cluster.ask(f"api/jobs/{self.name}/logs")["logs"]
        return Ended(told["status"], told["driver_exit_code"], log)

    def end_well(self):
        """Wait for its end, which is a success; what it said."""
        ended = self.end()
        assert (ended.status, ended.exit_code) == ("SUCCEEDED", 0), ended.log
        assert self._process.returncode == 0
        return ended.log


class Cluster:
    """A head that runs jobs but no work, and nodes that come and go."""

    def __init__(self, folder, host=THIS_MACHINE):
        self.folder, self._host, self._nodes = folder, host, {}
        self.environment = {key: os.environ[key] for key in os.environ if key != "RAY_ADDRESS"}
        self.environment |= QUICK | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }
        port = free_port()
        self._dashboard = f"http://{host.address}:{port}"
        options = ["--head", "--port=0", "--num-cpus=0"]
        options += [f"--ray-client-server-port={free_port()}", "--include-dashboard=true"]
        options += [f"--dashboard-host={host.address}", f"--dashboard-port={port}"]
        self._start("head", host, options)
        self._nodes["head"].wait_until_up()
        self._address = (folder / "head/ray_current_cluster").read_text().strip()

    def add(self, name, *options, host=None):
        """Start a node."""
        self._join(name, *options, host=host)
        self._nodes[name].wait_until_up()

    def complete(self, *names):
        """Start those nodes of these names that are not there."""
        missing = [n for n in names if n not in self._nodes or not self._nodes[n].alive]
        for name in missing:
            self._join(name)
        for name in missing:
            self._nodes[name].wait_until_up()
        return self

    def _join(self, name, *options, host=None):
        own = [f"--address={self._address}", *(options or ("--num-cpus=2",))]
        self._start(name, host or self._host, own)

    def kill(self, name):
        self._nodes[name].kill()

    def until_gone(self, name):
        """Wait until a node ends by itself."""
        until(
            lambda: not self._nodes[name].alive,
            seconds=LONGEST_START_S,
            what=lambda: f"{name} still runs",
        )

    def _start(self, name, host, options):
        self._nodes[name] = Node(name, host, options, self.environment, self.folder)

    def submit(self, job, preset, *settings):
        """`ray job submit` of one of the jobs with the settings given."""
        overrides = [word for pair in settings for word in ("--set", pair)]
        return self.start(job, preset, *overrides)

    def start(self, job, *words):
        """`ray job submit` of one of the jobs with these words."""
        return Job(self, [f"jobs/{job}.py", *words])

    def ray(self, *words):
        """A command line of Ray's client at the head."""
        first = 2 if words[0] == "job" else 1
        address = ["--address", self._dashboard]
        return [*self._host.enter, RAY, *words[:first], *address, *words[first:]]

    def ask(self, path):
        """What the head's HTTP server says."""
        command = [*self._host.enter, sys.executable, "-c", ASK, f"{self._dashboard}/{path}"]
        if not self._host.enter:
            with urlopen(f"{self._dashboard}/{path}") as answer:
                return json.load(answer)
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    def living(self):
        """Names of the nodes that the head holds for alive."""
        return {node["node_name"] for node in self.states("nodes") if node["state"] == "ALIVE"}

    def actors(self, kind):
        """State, node and resources of the actors of a class, past and present."""
        found = self._placed("actors")  # classes made in a function have a longer name
        return [actor for actor in found if actor["class_name"].split(".")[-1] == kind]

    def of_job(self, job, things):
        """Those of some actors or tasks that a job started."""
        number = self.ask(f"api/jobs/{job.name}")["job_id"]
        return [thing for thing in things if thing["job_id"] == number]

    def tasks(self, job, name, at_least):
        """The same of the tasks of a job that have a name; the head learns of them with delay."""

        def known():
            found = [task for task in self._placed("tasks") if task["name"] == name]
            of_job = self.of_job(job, found)
            return of_job if len(of_job) >= at_least else None

        return until(known, seconds=LONGEST_START_S, what=lambda: f"{at_least} tasks {name}")

    def _placed(self, things):
        names = {node["node_id"]: node["node_name"] for node in self.states("nodes")}
        return [thing | {"node": names.get(thing["node_id"])} for thing in self.states(things)]

    def states(self, things):
        """What Ray's state API tells of all things of a kind."""
        return self.ask(f"api/v0/{things}?detail=true&limit=1000")["data"]["result"]["result"]

    def shut_down(self):
        for node in reversed(self._nodes.values()):
            node.kill()


# Without the run-time checks of these tests, which take longer than the simulations.
UNDISTURBED = """
import sys
from fwdecg.config import load
from fwdecg.runtime.cost import Cost
from fwdecg.library.manifest import publish_descriptions
from fwdecg.library.part import build_part
from fwdecg.library.part_plan import plan_parts
from fwdecg.runtime.storage import Store
from fwdecg.experiment.experiment import Experiment

place, preset, *settings = sys.argv[1:]
config, store = load(Experiment, preset, settings).library, Store.at(place)
records = [build_part(config, store, part) for part in plan_parts(config, [])]
publish_descriptions(config, store, records, cost=Cost())
"""
ASK = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())"


def free_port():
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        return found.getsockname()[1]


@pytest.fixture(scope="package")
def head():
    """A cluster of a head alone, to which each test adds what it needs."""
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:  # a short path, for sockets
        cluster = Cluster(Path(folder))
        yield cluster
        cluster.shut_down()


@pytest.fixture(scope="session")
def build_undisturbed():
    """A function that builds a preset's library in one process, without Ray."""

    def build(place, preset, settings):
        words = [sys.executable, "-c", UNDISTURBED, str(place), str(preset), *settings]
        subprocess.run(words, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})

    return build


@pytest.fixture(scope="session")
def host_class():
    return Host


@pytest.fixture
def cluster_on():
    """A function that starts a cluster's head on a host."""
    made = []
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:

        def start(host):
            made.append(Cluster(Path(folder), host))
            return made[-1]

        yield start
        for cluster in made:
            cluster.shut_down()


@pytest.fixture
def cluster(head):
    """That cluster with two nodes of two processors each."""
    return head.complete("one", "two")
