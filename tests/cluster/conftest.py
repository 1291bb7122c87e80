"""Ray clusters of separate nodes on this machine, and jobs that are submitted to them."""

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
START_TIMEOUT_S = 90.0
FAST_HEALTH_CHECKS = {
    # Ray notices a lost node within seconds instead of a minute.
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "4",
    # A worker that ends with its job never reports the task events it still buffers.
    "RAY_task_events_report_interval_ms": "100",
}


def wait_until(condition, *, timeout_s, explain):
    """Return the condition's first true value; fail with `explain()` after the timeout."""
    deadline = time.monotonic() + timeout_s
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {explain()}"
        time.sleep(0.05)
    return result


def process_tree(pid):
    """Yield the pids of a process and of all its descendants, children first."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from process_tree(int(child))
    yield pid


@dataclass(frozen=True)
class Host:
    """Where a node runs: this machine, or a network namespace with its own address."""

    namespace: str = ""
    address: str = LOOPBACK

    @property
    def command_prefix(self):
        """Words that run a command inside the namespace."""
        return ("ip", "netns", "exec", self.namespace) if self.namespace else ()


THIS_MACHINE = Host()


class Node:
    """One `ray start` process with its descendants."""

    def __init__(self, name, host, options, environment, folder):
        self.name, self.host = name, host
        self._log = folder / f"{name}.log"
        words = [f"--node-name={name}", f"--node-ip-address={host.address}", "--block"]
        # Each node needs its own temporary folder: they would unpack working_dirs over each other.
        words += [f"--temp-dir={folder / name}", "--object-store-memory=100000000"]
        # Ray chooses free ports, because other clusters may run on this machine.
        words += ["--dashboard-agent-listen-port=0"]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*host.command_prefix, RAY, "start", *words, *options],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_up(self):
        def up():
            assert self._process.poll() is None, self._log.read_text()
            return "Ray runtime started" in self._log.read_text()

        wait_until(up, timeout_s=START_TIMEOUT_S, explain=self._log.read_text)

    @property
    def alive(self):
        return self._process.poll() is None

    def kill(self):
        """Kill all processes of the node at once, like a power failure."""
        for pid in [*process_tree(self._process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()


@dataclass(frozen=True)
class JobResult:
    """Ray's final status of a job, the exit code of its script, and its log."""

    status: str
    exit_code: int | None
    log: str


class Job:
    """A submitted job, with a `ray job submit` process that waits for it."""

    def __init__(self, cluster, words):
        self._cluster = cluster
        self.name = f"{Path(words[0]).stem}-{time.monotonic_ns()}"
        self._log = cluster.folder / f"{self.name}.log"
        options = ["--working-dir", ".", "--submission-id", self.name, "--log-style=record"]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                cluster.ray_command("job", "submit", *options, "--", "python", *map(str, words)),
                cwd=ROOT,
                env=cluster.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_until(self, condition, *, timeout_s=240.0):
        """Wait for a condition; fail if the job ends before."""

        def met():
            result = condition()
            assert result or self._process.poll() is None, self.log()
            return result

        return wait_until(met, timeout_s=timeout_s, explain=self.log)

    def log(self):
        return self._log.read_text()

    def wait(self, timeout_s=300.0):
        """Wait for the end of the job and return its result."""
        self._process.wait(timeout_s)
        info = self._cluster.get_json(f"api/jobs/{self.name}")
        log = self._cluster.get_json(f"api/jobs/{self.name}/logs")["logs"]
        return JobResult(info["status"], info["driver_exit_code"], log)

    def wait_for_success(self):
        """Wait for the end of the job, require success, and return its log."""
        result = self.wait()
        assert (result.status, result.exit_code) == ("SUCCEEDED", 0), result.log
        assert self._process.returncode == 0
        return result.log


class Cluster:
    """A head node without CPUs, and worker nodes that tests add and kill."""

    def __init__(self, folder, host=THIS_MACHINE):
        self.folder, self._host, self._nodes = folder, host, {}
        self.environment = {key: os.environ[key] for key in os.environ if key != "RAY_ADDRESS"}
        self.environment |= FAST_HEALTH_CHECKS | {
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
        """Start a worker node and wait until it is up."""
        self._join(name, *options, host=host)
        self._nodes[name].wait_until_up()

    def with_nodes(self, *names):
        """Start those of the named nodes that are not running, and return the cluster."""
        missing = [n for n in names if n not in self._nodes or not self._nodes[n].alive]
        for name in missing:
            self._join(name)
        for name in missing:
            self._nodes[name].wait_until_up()
        return self

    def _join(self, name, *options, host=None):
        words = [f"--address={self._address}", *(options or ("--num-cpus=2",))]
        self._start(name, host or self._host, words)

    def kill(self, name):
        self._nodes[name].kill()

    def wait_until_node_ends(self, name):
        """Wait until a node's processes end by themselves."""
        wait_until(
            lambda: not self._nodes[name].alive,
            timeout_s=START_TIMEOUT_S,
            explain=lambda: f"{name} still runs",
        )

    def _start(self, name, host, options):
        self._nodes[name] = Node(name, host, options, self.environment, self.folder)

    def submit(self, job, preset, *settings):
        """Submit one of the jobs with a preset and `section.key=value` settings."""
        overrides = [word for pair in settings for word in ("--set", pair)]
        return self.start(job, preset, *overrides)

    def start(self, job, *words):
        """Submit one of the jobs with the given arguments."""
        return Job(self, [f"jobs/{job}.py", *words])

    def ray_command(self, *words):
        """Return the words of a Ray command that addresses the head."""
        first = 2 if words[0] == "job" else 1
        address = ["--address", self._dashboard]
        return [*self._host.command_prefix, RAY, *words[:first], *address, *words[first:]]

    def get_json(self, path):
        """Return the head's answer to an HTTP request."""
        command = [*self._host.command_prefix, sys.executable, "-c", GET]
        if not self._host.command_prefix:
            with urlopen(f"{self._dashboard}/{path}") as answer:
                return json.load(answer)
        command.append(f"{self._dashboard}/{path}")
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    def live_nodes(self):
        """Names of the nodes that the head considers alive."""
        return {node["node_name"] for node in self._states("nodes") if node["state"] == "ALIVE"}

    def actors(self, class_name):
        """State, node and resources of all actors of a class, past and present."""
        found = self._with_nodes("actors")  # a class made inside a function has a longer name
        return [actor for actor in found if actor["class_name"].split(".")[-1] == class_name]

    def of_job(self, job, entries):
        """Those of the given actors or tasks that a job started."""
        job_id = self.get_json(f"api/jobs/{job.name}")["job_id"]
        return [entry for entry in entries if entry["job_id"] == job_id]

    def tasks(self, job, name, at_least):
        """The tasks of a job with a given name; the head learns of them with a delay."""

        def known():
            found = [task for task in self._with_nodes("tasks") if task["name"] == name]
            of_job = self.of_job(job, found)
            return of_job if len(of_job) >= at_least else None

        return wait_until(
            known, timeout_s=START_TIMEOUT_S, explain=lambda: f"{at_least} tasks {name}"
        )

    def _with_nodes(self, kind):
        names = {node["node_id"]: node["node_name"] for node in self._states("nodes")}
        return [state | {"node": names.get(state["node_id"])} for state in self._states(kind)]

    def _states(self, kind):
        """What Ray's state API lists: nodes, actors or tasks."""
        return self.get_json(f"api/v0/{kind}?detail=true&limit=1000")["data"]["result"]["result"]

    def shut_down(self):
        for node in reversed(self._nodes.values()):
            node.kill()


# A subprocess without the run-time type checks of these tests, which take longer than the cases.
BUILD_IN_PROCESS = """
import sys
from fwdecg.config import load
from fwdecg.experiment.experiment import Experiment
from fwdecg.library.manifest import publish_descriptions
from fwdecg.library.part import publish_part
from fwdecg.library.pending_cases import simulate_or_quarantine
from fwdecg.library.build_plan import plan_parts
from fwdecg.runtime.cost import Cost
from fwdecg.runtime.storage import Store

place, preset, *settings = sys.argv[1:]
config, store = load(Experiment, preset, settings).library, Store.at(place)
for case_id in range(config.cases):
    simulate_or_quarantine(config, store, case_id)
records = [publish_part(config, store, part, set()) for part in plan_parts(config, [])]
publish_descriptions(config, store, records, cost=Cost())
"""
GET = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())"


def free_port():
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        return found.getsockname()[1]


@pytest.fixture(scope="package")
def head():
    """A cluster that consists of a head; each test adds the nodes it needs."""
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:  # sockets need a short path
        cluster = Cluster(Path(folder))
        yield cluster
        cluster.shut_down()


@pytest.fixture(scope="session")
def build_in_process():
    """A function that builds a preset's library in one process without Ray."""

    def build(place, preset, settings):
        words = [sys.executable, "-c", BUILD_IN_PROCESS, str(place), str(preset), *settings]
        subprocess.run(words, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})

    return build


@pytest.fixture(scope="session")
def host_class():
    return Host


@pytest.fixture
def cluster_on():
    """A function that starts a cluster with its head on a given host."""
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
    """That cluster with two worker nodes of two CPUs each."""
    return head.with_nodes("one", "two")
