"""The search as a user starts it: in a process of its own, killed, and started again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fwdecg.config import load
from fwdecg.experiment.experiment import Experiment
from fwdecg.tuning.trials import TrialFolders

JOB = Path(__file__).parents[2] / "jobs/tune.py"
SPACE = 'tuning.space={"model.dropout"={uniform=[0.0, 0.5]}, model.readout_size={choice=[8, 16]}}'

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def search_command(preset, results, build, *settings):
    """Build the library, and return the command of a search with one trial at a time."""
    settings = (f"results.path={results}", SPACE, "tuning.concurrency=1", *settings)
    experiment = load(Experiment, preset, settings)
    build(experiment.library, results / "library")
    overrides = [word for pair in settings for word in ("--set", pair)]
    return [sys.executable, str(JOB), str(preset), *overrides]


@pytest.mark.timeout(600)  # Ray starts twice
def test_killed_search_continues(small_preset, without_ray, tmp_path):
    results = tmp_path / "results"
    # Without early stopping the outcome of every trial is known.
    settings = ("tuning.trials=3", "tuning.grace_period=15")
    search = search_command(small_preset, results, without_ray, *settings)
    folder = results / "tuning"
    folders = TrialFolders(folder)
    process = subprocess.Popen(search, start_new_session=True)
    deadline = time.monotonic() + 240
    while not (folders.outcome(0) and folders.history(1)) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "metrics.json").exists()
    before = {number: folders.history(number) for number in (0, 1)}
    settings = folders.settings(1)
    assert len(before[0]) == 15
    log = subprocess.run(search, check=True, capture_output=True, text=True).stdout
    assert "continuing a search: 1 of 3 trials ended (1 finished)" in log
    assert "trial 0 finished" not in log
    assert "trial 1 finished after epoch 15/15" in log
    # The records include times, so equality shows that no epoch was trained again.
    assert folders.history(0) == before[0]
    assert folders.history(1)[: len(before[1])] == before[1]
    assert folders.settings(1) == settings
    rows = pq.read_table(folder / "trials.parquet").to_pylist()
    assert [(row["trial"], row["status"]) for row in rows] == [(n, "finished") for n in range(3)]
    assert json.loads((folder / "metrics.json").read_text())["epochs"]["spent"] == 45
