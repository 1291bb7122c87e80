"""Submitted jobs: bad input, and a chain of stages and a search that each lose a node."""

import json
from dataclasses import asdict, replace

import pyarrow.parquet as pq
import pytest

import fwdecg
from fwdecg.config import load
from fwdecg.experiment.experiment import Experiment
from fwdecg.runtime.cost import Cost
from fwdecg.training.checkpoint import newest_epoch
from fwdecg.training.trainer import train
from fwdecg.tuning.trials import FINISHED, TrialFolders

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]
ROUNDING = 1e-3  # relative; two workers sum in another order than one


def in_process(experiment):
    return replace(experiment.training, workers=0)


def history(path):
    return [comparable(json.loads(line)) for line in path.read_text().splitlines()]


def comparable(record):
    """An epoch's record without its time and cost."""
    return record | {"seconds": 0.0} | asdict(Cost())


def require_same(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, rel=ROUNDING, abs=ROUNDING)


def nodes_with_actors(cluster, class_name):
    """Names of the nodes on which actors of a class are alive."""
    return {actor["node"] for actor in cluster.actors(class_name) if actor["state"] == "ALIVE"}


def test_bad_input(head, small_preset, tmp_path):
    job = head.submit("build_library", small_preset, f"results.path={tmp_path}", "library.cases=0")
    result = job.wait()
    assert (result.status, result.exit_code) == ("FAILED", 2), result.log
    assert "Traceback" not in result.log
    (line,) = [line for line in result.log.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: library.cases = 0: must be at least 1")
    assert not (tmp_path / "library").exists()


def test_a_reproduction_that_loses_a_node(cluster, small_preset, tmp_path):
    settings = (f"results.path={tmp_path}", "training.epochs=16")
    experiment, folder = load(Experiment, small_preset, settings), tmp_path / "training"
    job = cluster.submit("reproduce", small_preset, *settings)
    job.wait_until(lambda: newest_epoch(folder) >= 2)
    # Both workers run on one node, because they reserve too few CPUs to need the other.
    (lost,) = nodes_with_actors(cluster, "RayTrainWorker")
    cluster.kill(lost)
    assert "resuming after epoch" in job.wait_for_success()
    assert cluster.live_nodes() == {"head", "one", "two"} - {lost}
    library = fwdecg.open_library(tmp_path / "library")
    reference = train(library, experiment.model, in_process(experiment), tmp_path / "reference")
    require_same(history(folder / "history.jsonl"), history(tmp_path / "reference/history.jsonl"))
    trained = json.loads((tmp_path / "metrics.json").read_text())["training"]
    assert trained["best_epoch"] == reference["best_epoch"]


def test_search_that_loses_a_node(cluster, small_preset, without_ray, tmp_path):
    space = 'tuning.space={"model.dropout"={uniform=[0.0, 0.5]}}'
    # No trial is stopped early, so that each can be compared with an undisturbed training.
    settings = (f"results.path={tmp_path}", space, "tuning.trials=3", "tuning.concurrency=2")
    settings += ("training.epochs=20", "tuning.grace_period=20")
    experiment = load(Experiment, small_preset, settings)
    library = without_ray(experiment.library, tmp_path / "library")
    folder = tmp_path / "tuning"
    trials = TrialFolders(folder)

    def epochs():
        return sum(newest_epoch(trials.folder(number)) for number in trials.numbers())

    job = cluster.submit("tune", small_preset, *settings)
    job.wait_until(lambda: epochs() >= 2)
    lost = min(nodes_with_actors(cluster, "ImplicitFunc"))
    cluster.kill(lost)
    job.wait_for_success()
    assert cluster.live_nodes() == {"head", "one", "two"} - {lost}
    rows = pq.read_table(folder / "trials.parquet").to_pylist()
    assert [row["status"] for row in rows] == [FINISHED] * 3
    for row in rows:
        own = experiment.recipe.with_settings(trials.settings(row["trial"]))
        reference = tmp_path / f"reference-{row['trial']}"
        train(library, own.model, in_process(own), reference)
        ours = [comparable(asdict(record)) for record in trials.history(row["trial"])]
        require_same(ours, history(reference / "history.jsonl"))
    found = json.loads((folder / "metrics.json").read_text())["best"]["best_validation_r2"]
    assert found == max(row["best_validation_r2"] for row in rows)
