"""What the start of a job is made of: what Python loads, Ray, its first task, a submission.

Each measure is taken in a process of its own. Files are read from memory: a first turn, which
fetches them from the disk, does not count.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from fwdecg.benchmarks.turns import in_turns
from fwdecg.errors import RunError
from fwdecg.evaluation.text_table import aligned
from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store

LOADED = {
    "Python alone": "pass",
    "import fwdecg": "import fwdecg",
    "what build_library loads": "import fwdecg.experiment.command_line, fwdecg.library.build",
    "what train loads": "import fwdecg.experiment.command_line, fwdecg.training.trainer",
    "what evaluate loads": "import fwdecg.experiment.command_line, fwdecg.evaluation.evaluate",
    "what tune loads": "import fwdecg.experiment.command_line, fwdecg.tuning.search",
}
ON_RAY = """
import json, time
import ray
from fwdecg.experiment.command_line import connect_to_ray
from fwdecg.runtime.cost import CostMeter

def first_task():
    import fwdecg.library.build
    return time.process_time()

started, meter = time.monotonic(), CostMeter()
connect_to_ray()
connected, own = time.monotonic(), meter.lap()
worker = ray.get(ray.remote(num_cpus=1)(first_task).remote())
print(json.dumps([
    [own.core_seconds, connected - started], [worker, time.monotonic() - connected]
]))
"""
RAY, TASK = "a local Ray cluster, without its own processes", "its first simulating worker"
# Runs until its input ends; its first line is where jobs are submitted, from then on without delay.
SERVE = """
import sys, time
import ray
from ray.job_submission import JobSubmissionClient
from fwdecg.experiment.command_line import connect_to_ray

connect_to_ray()
again = ray.init(ignore_reinit_error=True, logging_level="ERROR")
address = "http://" + again.dashboard_url
for _ in range(120):
    try:
        JobSubmissionClient(address).submit_job(entrypoint="true")
    except RuntimeError:  # what runs jobs is not there yet
        time.sleep(0.5)
    else:
        print(address, flush=True)
        sys.stdin.read()
        break
"""


class Start(NamedTuple):
    """What a part of a start takes: processor time, and time by the clock, in seconds."""

    core_seconds: float
    seconds: float


def benchmark_start(jobs: Path, folder: Path, *, turns: int) -> None:
    """Measure, and leave `report.txt` and `metrics.json` in a folder.

    Args:
        jobs: folder of the jobs, whose `--help` is timed.
        folder: where the result goes.
        turns: how often each is measured, after one time that is not counted.
    """
    measures: dict[str, Callable[[], Start]] = {
        name: partial(_time, ["-c", code]) for name, code in LOADED.items()
    }
    for job in sorted(jobs.glob("*.py")):
        measures[f"{job.name} --help"] = partial(_time, [str(job), "--help"])
    found = {name: _medians(starts[1:]) for name, starts in in_turns(measures, turns + 1).items()}
    on_ray = [_time_ray() for _ in range(turns)]
    for name, starts in zip((RAY, TASK), zip(*on_ray, strict=True), strict=True):
        found[name] = _medians(starts)
    found |= _time_submissions(jobs, turns)
    _publish(Store.at(folder), found)


def _time(arguments: list[str]) -> Start:
    """What a run of Python takes, with the processes that it waits for."""
    command = [sys.executable, *arguments]
    started = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RunError(f"{' '.join(command)} failed: {said.read().decode().strip()}")
    return Start(usage.ru_utime + usage.ru_stime, time.monotonic() - started)


def _time_ray() -> list[Start]:
    """What a local cluster takes of the process that starts it, and its first worker of itself."""
    command = [sys.executable, "-c", ON_RAY]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if ended.returncode:
        raise RunError(f"no local Ray cluster could be started: {ended.stderr.strip()}")
    return [Start(*pair) for pair in json.loads(ended.stdout.splitlines()[-1])]


def _time_submissions(jobs: Path, turns: int) -> dict[str, Start]:
    """What `ray job submit` takes, from the command to its end, of programs that do nothing."""
    programs = {
        "an empty program": ["-c", "pass"],
        "train.py --help": [str(jobs / "train.py"), "--help"],
    }
    with _cluster() as address:
        submit = ["-m", "ray.scripts.scripts", "job", "submit", "--address", address, "--"]
        measures = {
            f"ray job submit of {name}": partial(_time, [*submit, sys.executable, *program])
            for name, program in programs.items()
        }
        return {name: _medians(starts) for name, starts in in_turns(measures, turns).items()}


@contextmanager
def _cluster() -> Iterator[str]:
    """A local cluster, as a job would start it, for the time of the block: its address for jobs."""
    command = [sys.executable, "-c", SERVE]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        if process.stdout is None or not (address := process.stdout.readline().strip()):
            raise RunError(
                "no job could be submitted to a local Ray cluster: what takes jobs has one port on "
                "a machine; end other clusters on this one"
            )
        yield address


def _medians(starts: list[Start] | tuple[Start, ...]) -> Start:
    return Start(median(s.core_seconds for s in starts), median(s.seconds for s in starts))


def _publish(store: Store, found: Mapping[str, Start]) -> None:
    store.publish_json(METRICS_FILE, {name: start._asdict() for name, start in found.items()})
    rows = [[name, f"{s.core_seconds:.2f}", f"{s.seconds:.2f}"] for name, s in found.items()]
    lines = aligned([["seconds", "of processors", "by the clock"], *rows])
    store.publish(REPORT_FILE, "\n".join(lines) + "\n")
