"""A job whose standard output is closed, full or ASCII ends clearly and without a traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

JOB = """
import atexit, logging, sys, time, warnings

from fwdecg.errors import FwdEcgWarning
from fwdecg.experiment.command_line import run_job

def shut_down():
    print("shutting down", flush=True)
    time.sleep(60)

def main():
    print("0.998 \\u00b1 0.002 \\u4e2d", flush=True)
    logging.getLogger("fwdecg").info("a log line")
    warnings.warn("the case is odd; look at it", FwdEcgWarning)
    if "interrupt" in sys.argv:
        atexit.register(shut_down)
        raise KeyboardInterrupt

run_job(main)
"""
WARNING = "warning: the case is odd; look at it\n"


@pytest.fixture
def start(tmp_path):
    """A function that starts the job above."""
    script = tmp_path / "job.py"
    script.write_text(JOB)

    def run(*arguments, stdout=subprocess.PIPE, **changed):
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])} | changed
        return subprocess.Popen(
            [sys.executable, script, *arguments],
            env=environment,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def test_ascii_output_spells_characters_out(start):
    out, err = start(PYTHONIOENCODING="ascii").communicate()
    assert out == "0.998 +- 0.002 \\u4e2d\na log line\n"
    assert err == WARNING


def test_a_reader_that_goes_away_stops_the_job(start):
    reading, writing = os.pipe()
    os.close(reading)
    job = start(stdout=writing)
    os.close(writing)
    assert job.communicate()[1] == (
        "stopped: standard output: Broken pipe; the same command resumes\n"
    )
    assert job.returncode == 141


def test_a_full_disk_behind_standard_output_stops_the_job(start):
    with Path("/dev/full").open("w") as full:
        job = start(stdout=full)
        assert job.communicate()[1] == (
            "stopped: standard output: No space left on device; the same command resumes\n"
        )
    assert job.returncode == 1


def test_a_closed_standard_output_does_not_matter(tmp_path, start):
    job = tmp_path / "job.py"
    job.write_text(JOB)
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} {job} >&-"],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stderr == WARNING


def test_a_second_interrupt_ends_the_process_at_once(start):
    job = start("interrupt")
    while job.stdout.readline() != "shutting down\n":
        assert job.poll() is None
    job.send_signal(signal.SIGINT)
    assert job.communicate(timeout=30)[1] == f"{WARNING}interrupted; the same command resumes\n"
    assert job.returncode == 130
