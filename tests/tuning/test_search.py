"""Searches on a library of milliseconds."""

import json
import tomllib
from dataclasses import replace
from functools import partial

import pyarrow.parquet as pq
import pytest

from fwdecg.config import from_tree
from fwdecg.errors import ConfigError, ResultError, RunError
from fwdecg.experiment.experiment import Experiment
from fwdecg.runtime.cost import CostMeter
from fwdecg.training.trained_surrogate import load_surrogate
from fwdecg.training.trainer import train
from fwdecg.tuning import search
from fwdecg.tuning.search import plan_search, trial_recipe, tune
from fwdecg.tuning.trials import FAILED, TrialOutcome

# A spectral loss times 10^39 overflows float32: the training diverges in its first epoch.
DIVERGING = {
    "model.hidden_size": {"choice": [4, 8]},
    "training.learning_rate": {"loguniform": [1e-3, 1e-2]},
    "training.loss.spectral_weight": {"choice": [1e39, 1.0, 0.5, 0.25]},
}


def preset_text(recipe, results):
    return ""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"space": {"training.epochs": {"choice": [1, 2]}}}, "training.epochs cannot vary"),
        ({"space": {"training.mirror": {"choice": [True, False]}}}, "training.mirror = true: the"),
        ({"grace_period": 7}, "tuning.grace_period = 7: trials of 4 epochs would not reach"),
        ({"brackets": 3, "reduction_factor": 3.0}, r"the last begins at epoch 9\)"),
    ],
)
def test_invalid_search_is_refused(small_library, recipe, tuning_config, values, message):
    with pytest.raises(ConfigError, match=message):
        plan_search(small_library, recipe, tuning_config(**values))


def test_recipe_of_a_trial(small_config, recipe, tuning_config):
    tuning = tuning_config(epochs=9, workers_per_trial=2)
    trained = trial_recipe(recipe, tuning, small_config)
    assert (trained.training.epochs, trained.training.workers) == (9, 2)
    assert trained.model == recipe.model


@pytest.mark.ray
@pytest.mark.slow
def test_result_of_a_search(ray_cluster, small_library, recipe, tuning_config, tmp_path):
    folder = tmp_path / "tuning"

    def planned(**values):
        values = {"space": DIVERGING, "concurrency": 2, "reduction_factor": 2.0} | values
        return plan_search(small_library, recipe, tuning_config(**values))

    experiment = Experiment(
        library=small_library.config, model=recipe.model, training=recipe.training
    )
    run = partial(
        tune, folder=folder, preset_text=partial(experiment.retraining_preset, small_library.config)
    )
    metrics = run(planned(trials=5))
    assert metrics == json.loads((folder / "metrics.json").read_text())
    rows = pq.read_table(folder / "trials.parquet").to_pylist()
    assert [row["trial"] for row in rows] == list(range(5))
    for row in rows:
        if row["training.loss.spectral_weight"] == 1e39:
            assert row["status"] == FAILED
            assert row["reason"].startswith("the training loss is not finite")
            continue
        assert row["status"] == ("finished" if row["epochs"] == 4 else "stopped")
        assert row["core_seconds"] > 0
    failed = [row["trial"] for row in rows if row["status"] == FAILED]
    assert len(failed) == metrics["trials"][FAILED] == 1
    assert f"trial {failed[0]} failed: the training loss" in (folder / "report.txt").read_text()
    # The cost includes this process; the sum is rounded to tenths.
    assert metrics["cost"]["core_seconds"] > sum(row["core_seconds"] for row in rows) - 0.05
    assert metrics["epochs"]["spent"] == sum(row["epochs"] for row in rows)
    usable = [row for row in rows if row["status"] != FAILED]
    best = max(usable, key=lambda row: row["best_validation_r2"])
    assert metrics["best"]["trial"] == best["trial"]
    surrogate = load_surrogate(folder / "best.safetensors")
    assert surrogate.epoch == best["best_epoch"]
    assert surrogate.config.hidden_size == best["model.hidden_size"]
    pictures = {path.name for path in (folder / "figures").iterdir()}
    assert pictures == {"curves.png", "parameters.png", "cost.png"}
    # A training from best.toml reproduces the trial.
    preset = from_tree(Experiment, tomllib.loads((folder / "best.toml").read_text()))
    training = replace(preset.training, workers=0)
    train(small_library, preset.model, training, preset.folder("training"))
    lines = (preset.folder("training") / "history.jsonl").read_text().splitlines()
    retrained = [json.loads(line)["validation_r2"] for line in lines]
    assert retrained[: best["epochs"]] == pytest.approx(best["validation_r2"], rel=1e-5)
    # A complete search is not run again; more trials extend it; another seed is another search.
    assert run(planned(trials=5)) == metrics
    run(planned(trials=6))
    extended = pq.read_table(folder / "trials.parquet").to_pylist()
    assert len(extended) == 6
    assert extended[:5] == rows
    with pytest.raises(ResultError, match=r"made with another tuning.seed"):
        run(planned(trials=5, seed=2))


@pytest.mark.ray
@pytest.mark.slow
def test_time_budget_interrupts_trials(ray_cluster, small_library, recipe, tuning_config, tmp_path):
    tuning = tuning_config(
        trials=1, epochs=100_000, grace_period=50_000, reduction_factor=2.0, time_budget_s=15.0
    )
    metrics = tune(plan_search(small_library, recipe, tuning), tmp_path, preset_text)
    assert metrics["trials"] == {"asked": 1, "unfinished": 1}
    assert 0 < metrics["epochs"]["spent"] < 100_000


def test_search_without_any_result_is_an_error(small_library, recipe, tuning_config, folders):
    planned = plan_search(small_library, recipe, tuning_config(trials=2))
    for number in range(2):
        folders.create(number, {"model.hidden_size": 8, "training.learning_rate": 2e-3})
        folders.record_outcome(number, TrialOutcome(FAILED, "it diverged"))
    with pytest.raises(RunError, match="none of 2 trials has a result; the first: it diverged"):
        search._publish(planned, folders, preset_text, CostMeter())
    assert not (folders.root / "metrics.json").exists()
    assert pq.read_table(folders.root / "trials.parquet").num_rows == 2


def test_search_without_any_trial_is_an_error(small_library, recipe, tuning_config, folders):
    planned = plan_search(small_library, recipe, tuning_config(trials=2))
    with pytest.raises(RunError, match="no trial has started; raise tuning.time_budget_s"):
        search._publish(planned, folders, preset_text, CostMeter())
