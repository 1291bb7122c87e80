"""Searches on a library of milliseconds, with trials on a small Ray cluster."""

import errno
import json
import os
import signal
import tomllib
from dataclasses import asdict, replace

import pyarrow.parquet as pq
import pytest
from ray import ObjectRef
from ray.exceptions import OutOfMemoryError, RayActorError

from fwdecg.config import from_tree
from fwdecg.errors import ConfigError, ResultError, RunError
from fwdecg.experiment.experiment import Experiment
from fwdecg.model import SurrogateConfig
from fwdecg.runtime import nodes
from fwdecg.runtime.cost import Cost
from fwdecg.training.checkpoint import load_surrogate
from fwdecg.training.trainer import train
from fwdecg.training.training_config import TrainingConfig
from fwdecg.tuning import sweep, trial
from fwdecg.tuning.live_table import SweepProgress
from fwdecg.tuning.proposals import make_proposals
from fwdecg.tuning.search import plan_search, tune
from fwdecg.tuning.sweep import plan_resources
from fwdecg.tuning.trial import SearchContext, is_transient
from fwdecg.tuning.trials import TrialFolders
from fwdecg.tuning.tuning_config import TuningConfig

MODEL = SurrogateConfig(
    hidden_size=4, channels=(2, 2), pooled_size=2, time_embedding_size=4, readout_size=4
)
SPACE = {
    "model.hidden_size": {"choice": [4, 8]},
    "training.learning_rate": {"loguniform": [1e-3, 1e-2]},
}
# A spectral loss times 10^39 overflows float32: such a training diverges in its first epoch.
DIVERGING = {"training.loss.spectral_weight": {"choice": [1e39, 1.0, 0.5, 0.25]}}


def tuning_config(**tuning):
    return experiment(**tuning).tuning


def experiment(**tuning):
    values = {"space": SPACE, "trials": 4, "epochs": 6, "grace_period": 1} | tuning
    return Experiment(
        model=MODEL,
        training=TrainingConfig(epochs=3, batch_size=4, retries=1, precision="float32"),
        tuning=TuningConfig(**values),
    )


def search_of(library, **tuning):
    asked = experiment(**tuning)
    return plan_search(library, asked.recipe, asked.tuning)


def run_search(search, folder):
    """Run a search whose best.toml belongs to the preset that `experiment` describes."""
    asked = replace(experiment(), library=search.library.config)
    return tune(search, folder, partial(asked.retraining_preset, search.library.config))


def statuses(metrics):
    return {name: count for name, count in metrics["trials"].items() if name != "asked"}


def untimed(history):
    return [replace(record, seconds=0.0, **asdict(Cost())) for record in history]


@pytest.mark.parametrize(
    ("tuning", "message"),
    [
        ({"space": {}}, "tuning.space is empty"),
        ({"space": {"training.epochs": {"choice": [1, 2]}}}, "training.epochs cannot vary"),
        ({"trials": 5, "space": {"model.hidden_size": {"choice": [4, 8]}}}, "must be at most 2"),
        ({"grace_period": 7}, "tuning.grace_period = 7: trials of 6 epochs would not reach"),
        ({"brackets": 3, "reduction_factor": 3.0}, r"the last begins at epoch 9\)"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(small_library, tuning, message):
    with pytest.raises(ConfigError, match=message):
        search_of(small_library, **tuning)


@pytest.mark.ray
@pytest.mark.slow
def test_what_a_search_leaves(ray_cluster, small_library, tmp_path):
    search = search_of(small_library, trials=6, concurrency=2, reduction_factor=2.0)
    metrics = run_search(search, tmp_path / "tuning")
    folder = tmp_path / "tuning"
    assert metrics == json.loads((folder / "metrics.json").read_text())
    rows = pq.read_table(folder / "trials.parquet").to_pylist()
    assert [row["trial"] for row in rows] == list(range(6))
    for row in rows:
        assert row["status"] == ("finished" if row["epochs"] == 6 else "stopped")
        assert row["best_validation_r2"] == max(row["validation_r2"])
        assert len(row["validation_r2"]) == row["epochs"]
    assert sum(statuses(metrics).values()) == 6
    of_trials = sum(row["core_seconds"] for row in rows)
    assert all(row["core_seconds"] > 0 for row in rows)
    # This process's own time stands beside theirs; the sum is rounded to tenths.
    assert metrics["cost"]["core_seconds"] > of_trials - 0.05
    assert metrics["cost"]["gpu_seconds"] == 0.0
    assert metrics["cost"]["peak_memory_bytes"] >= max(row["peak_memory_bytes"] for row in rows)
    assert metrics["epochs"]["spent"] == sum(row["epochs"] for row in rows)
    best = max(rows, key=lambda row: row["best_validation_r2"])
    assert metrics["best"]["trial"] == best["trial"]
    assert load_surrogate(folder / "best.safetensors").epoch == best["best_epoch"]
    assert (
        load_surrogate(folder / "best.safetensors").config.hidden_size == best["model.hidden_size"]
    )
    assert f"trial {best['trial']}" in (folder / "report.txt").read_text()
    pictures = {path.name for path in (folder / "figures").iterdir()}
    assert pictures == {"curves.png", "parameters.png", "cost.png"}
    # Trained anew from the preset, by the trainer itself, it comes to the very same figures.
    preset = from_tree(Experiment, tomllib.loads((folder / "best.toml").read_text()))
    assert preset.model.hidden_size == best["model.hidden_size"]
    assert preset.training.epochs == 6
    alone = replace(preset.training, workers=0)
    train(small_library, preset.model, alone, preset.training_folder)
    lines = (preset.training_folder / "history.jsonl").read_text().splitlines()
    again = [json.loads(line)["validation_r2"] for line in lines]
    assert again[: best["epochs"]] == pytest.approx(best["validation_r2"], rel=1e-5)
    # Done is done, unless more is asked for.
    assert run_search(search, folder) == metrics
    more = search_of(small_library, trials=7, concurrency=2, reduction_factor=2.0)
    widened = run_search(more, folder)
    assert sum(statuses(widened).values()) == 7
    again = pq.read_table(folder / "trials.parquet").to_pylist()
    assert again[:6] == rows
    with pytest.raises(ResultError, match=r"made with another tuning.seed"):
        run_search(search_of(small_library, seed=2, reduction_factor=2.0), folder)


@pytest.mark.ray
@pytest.mark.slow
def test_a_trial_that_diverges_is_recorded_and_the_others_go_on(
    ray_cluster, small_library, tmp_path
):
    metrics = run_search(search_of(small_library, space=DIVERGING, epochs=2), tmp_path)
    assert statuses(metrics)["failed"] == 1
    rows = pq.read_table(tmp_path / "trials.parquet").to_pylist()
    (failed,) = [row for row in rows if row["status"] == "failed"]
    assert failed["training.loss.spectral_weight"] == 1e39
    assert failed["reason"].startswith("the training loss is not finite")
    assert failed["reason"] in (tmp_path / "report.txt").read_text()
    assert metrics["best"]["trial"] != failed["trial"]


@pytest.mark.ray
@pytest.mark.slow
def test_a_search_of_failures_is_an_error(ray_cluster, small_library, tmp_path):
    space = {"training.loss.spectral_weight": {"choice": [1e39, 2e39]}}
    search = search_of(small_library, space=space, trials=2)
    with pytest.raises(RunError, match=r"none of 2 trials came to a result; the first: the train"):
        run_search(search, tmp_path)
    assert not (tmp_path / "metrics.json").exists()


@pytest.mark.ray
@pytest.mark.slow
def test_a_trial_whose_worker_is_killed_goes_on(ray_cluster, small_library, tmp_path, monkeypatch):
    asked = experiment(trials=1, epochs=4, grace_period=4, concurrency=1)
    run_search(plan_search(small_library, asked.recipe, asked.tuning), tmp_path / "whole")
    killed = kill_workers(monkeypatch, lambda number, epoch: epoch == 2, times=1)
    metrics = run_search(plan_search(small_library, asked.recipe, asked.tuning), tmp_path / "cut")
    assert killed == [(0, 2)]
    assert statuses(metrics) == {"finished": 1}
    histories = [TrialFolders(tmp_path / name).history(0) for name in ("whole", "cut")]
    assert untimed(histories[0]) == untimed(histories[1])


@pytest.mark.ray
@pytest.mark.slow
def test_a_trial_whose_worker_is_always_killed_fails(
    ray_cluster, small_library, tmp_path, monkeypatch
):
    kill_workers(monkeypatch, lambda number, epoch: number == 0, times=99)
    metrics = run_search(search_of(small_library, trials=2, epochs=2), tmp_path)
    assert statuses(metrics) == {"failed": 1, "finished": 1}
    row = pq.read_table(tmp_path / "trials.parquet").to_pylist()[0]
    assert row["reason"] == "its worker was lost, 2 times"


def kill_workers(monkeypatch, chosen, *, times):
    """Let the processes of some trials die right after an epoch; a list of those is returned."""
    killed = []
    tell = SweepProgress.epoch

    def tell_and_kill(self, number, settings, record):
        tell(self, number, settings, record)
        if chosen(number, record["epoch"]) and len(killed) < times:
            killed.append((number, record["epoch"]))
            os.kill(record["pid"], signal.SIGKILL)

    monkeypatch.setattr(sweep.SweepProgress, "epoch", tell_and_kill)
    return killed


@pytest.mark.ray
@pytest.mark.slow
def test_a_node_that_does_not_see_the_folder_costs_no_trial(
    ray_cluster, small_library, tmp_path, monkeypatch, caplog
):
    def refused(config, context):
        raise ResultError(f"{context.folders.root} is not the same folder on all nodes")

    search = search_of(small_library, trials=2, epochs=1)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sweep, "run_trial", refused)
        with pytest.raises(RunError, match="none of 2 trials came to a result"):
            run_search(search, tmp_path)
    said = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert f"trial 1: {tmp_path} is not the same folder on all nodes" in said
    assert statuses(run_search(search, tmp_path))["finished"] == 2


@pytest.fixture
def context(small_library, tmp_path):
    return SearchContext(
        library=small_library,
        recipe=experiment().recipe,
        tuning=experiment().tuning,
        folders=TrialFolders(tmp_path),
        splits=ObjectRef.nil(),
    )


def test_a_trial_and_its_workers_look_for_the_folder_of_the_search(context, monkeypatch):
    monkeypatch.setattr(nodes, "VISIBILITY_DELAYS_S", ())
    plan = trial.plan_trial(context.library, context.recipe, {})
    job = trial._WorkerJob(number=0, plan=plan, context=context)
    for begin in (lambda: trial.run_trial({}, context), lambda: trial._work({"job": job})):
        with pytest.raises(ResultError, match="is not the same folder on all nodes"):
            begin()


@pytest.mark.ray
@pytest.mark.slow
def test_a_search_goes_on_when_a_node_ran_out_of_memory(
    ray_cluster, small_library, tmp_path, monkeypatch
):
    """Of a trial that its memory monitor killed Ray tells by an error that ends Tune."""
    fit, killed = sweep._fit, []

    def killed_once(context, proposals):
        if not killed:
            killed.append(0)
            raise RuntimeError("Caught unexpected exception") from OutOfMemoryError("low")
        fit(context, proposals)

    monkeypatch.setattr(sweep, "_fit", killed_once)
    search = search_of(small_library, trials=2, epochs=1)
    assert statuses(run_search(search, tmp_path))["finished"] == 2


@pytest.mark.parametrize(
    ("cause", "error", "message"),
    [
        (OutOfMemoryError("low"), RunError, "nodes ran out of memory 2 times: lower tuning.conc"),
        (ValueError("another"), RuntimeError, "unexpected"),
    ],
)
def test_a_search_that_cannot_go_on(context, monkeypatch, cause, error, message):
    def killed(context, proposals):
        raise RuntimeError("unexpected") from cause

    monkeypatch.setattr(sweep, "_fit", killed)
    with pytest.raises(error, match=message):
        sweep.run_sweep(context, make_proposals(context.tuning))


@pytest.mark.ray
def test_where_nodes_come_on_demand_a_search_says_itself_how_many_trials_run(
    ray_cluster, monkeypatch, caplog
):
    several = tuning_config(workers_per_trial=2, cpus_per_trial=1.0, concurrency=4)
    assert plan_resources(several) == ({"cpu": 0.01}, 2)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    assert plan_resources(several) == ({"cpu": 0.01}, 4)
    assert plan_resources(tuning_config(cpus_per_trial=3.0)) == ({"cpu": 3.0}, 0)
    assert "waiting for more nodes" in caplog.text


@pytest.mark.ray
def test_a_trial_must_fit_into_the_cluster(ray_cluster):
    with pytest.raises(ConfigError, match=r"the cluster has room for 0 such workers, with 2 proc"):
        plan_resources(tuning_config(cpus_per_trial=3.0))
    with pytest.raises(ConfigError, match=r"tuning.gpus_per_trial = 0.5"):
        plan_resources(tuning_config(gpus_per_trial=0.5))
    # Two processes of half a processor each, beside the one that waits for them: four such trials
    # would fit into two processors by Tune's own count of 0.01, but only two by the workers'.
    several = tuning_config(workers_per_trial=2, cpus_per_trial=1.0)
    assert plan_resources(several) == ({"cpu": 0.01}, 2)
    assert plan_resources(tuning_config(cpus_per_trial=0.5)) == ({"cpu": 0.5}, 0)


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (OSError(errno.ENOSPC, "disk full"), True),
        (RayActorError(), True),
        (PermissionError(), False),
        (RunError("diverged"), False),
        (MemoryError(), False),
    ],
)
def test_what_may_go_well_another_time(error, passing):
    assert is_transient(error) is passing
