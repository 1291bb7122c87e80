"""The search as a person starts it: in a process of its own, killed, and started again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fwdecg.tuning.trials import TrialFolders

JOBS = Path(__file__).parents[2] / "jobs"
SPACE = 'tuning.space={"model.dropout"={uniform=[0.0, 0.5]}, model.readout_size={choice=[8, 16]}}'


def command(job, preset, results, *settings):
    pairs = [f"results.path={results}", *settings]
    overrides = [word for pair in pairs for word in ("--set", pair)]
    return [sys.executable, str(JOBS / f"{job}.py"), str(preset), *overrides]


def search_of_new_library(preset, results, *settings):
    """The command of a search, one trial at a time, on a library built for it."""
    subprocess.run(command("build_library", preset, results), check=True)
    return command("tune", preset, results, SPACE, "tuning.concurrency=1", *settings)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)  # two starts of Ray, on a machine that may be busy
def test_a_killed_search_goes_on_and_its_best_preset_trains(small_preset, tmp_path):
    results = tmp_path / "results"
    # No trial is stopped early, so that the second run can be told from what it should leave.
    settings = ("tuning.trials=4", "tuning.grace_period=15")
    search = search_of_new_library(small_preset, results, *settings)
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
    said = subprocess.run(search, check=True, capture_output=True, text=True).stdout
    assert "going on with a search: 1 of 4 trials ended (1 finished)" in said
    assert "trial 0 finished" not in said
    assert "trial 1 finished after epoch 15/15" in said
    # The times of epochs, to the last digit: what was done is kept, not done again.
    assert folders.history(0) == before[0]
    assert folders.history(1)[: len(before[1])] == before[1]
    assert folders.settings(1) == settings
    rows = pq.read_table(folder / "trials.parquet").to_pylist()
    assert [(row["trial"], row["status"]) for row in rows] == [(n, "finished") for n in range(4)]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["epochs"]["spent"] == 60
    again = subprocess.run(search, check=True, capture_output=True, text=True).stdout
    assert "is tuned already" in again
    retrain = [sys.executable, str(JOBS / "train.py"), str(folder / "best.toml")]
    subprocess.run([*retrain, "--set", "training.workers=0"], check=True)
    place = folder / f"best/{metrics['best']['trial']:05d}"
    trained = json.loads((place / "training/metrics.json").read_text())
    assert trained["best_validation_r2"] == pytest.approx(
        metrics["best"]["best_validation_r2"], rel=1e-4
    )


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)  # Ray Train starts for each trial
def test_trials_of_two_workers(small_preset, tmp_path):
    results = tmp_path / "results"
    search = search_of_new_library(
        small_preset,
        results,
        "tuning.trials=2",
        "tuning.epochs=4",
        "tuning.grace_period=1",
        "tuning.reduction_factor=2",
        "tuning.workers_per_trial=2",
    )
    said = subprocess.run(search, check=True, capture_output=True, text=True).stdout
    assert "best validation R2" in said
    rows = pq.read_table(results / "tuning/trials.parquet").to_pylist()
    # Alone, the first has nothing to be compared with that could stop it.
    assert (rows[0]["status"], rows[0]["epochs"]) == ("finished", 4)
    assert rows[1]["status"] in ("finished", "stopped")


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)  # two starts of Ray, on a machine that may be busy
def test_a_search_of_two_brackets_spends_one_budget_after_another(small_preset, tmp_path):
    results = tmp_path / "results"
    folders = TrialFolders(results / "tuning")
    search = search_of_new_library(
        small_preset,
        results,
        "tuning.trials=2",
        "tuning.epochs=5000",  # minutes
        "tuning.grace_period=2500",
        "tuning.reduction_factor=2",
        "tuning.brackets=2",
        "tuning.time_budget_s=20",
    )
    said = subprocess.run(search, check=True, capture_output=True, text=True).stdout
    assert "1 unfinished" in said
    before = folders.history(0)
    assert 0 < len(before) < 5000
    subprocess.run(search, check=True)
    assert folders.outcome(0) is None
    after = folders.history(0)
    assert after[: len(before)] == before
    assert len(after) > len(before)
    assert json.loads((results / "tuning/metrics.json").read_text())["best"]["trial"] == 0
