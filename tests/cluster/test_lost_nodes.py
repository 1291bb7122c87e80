"""Each job submitted to three nodes, stopped, submitted again, bereft of a node: as if never."""

import json
from dataclasses import asdict, replace

import pyarrow.parquet as pq
import pytest

from fwdecg.config import load
from fwdecg.experiment.experiment import Experiment
from fwdecg.runtime.cost import Cost
from fwdecg.training.trainer import train
from fwdecg.training.training_folder import EPOCH, newest_checkpoint
from fwdecg.tuning.trial_folders import FINISHED, TrialFolders

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]
ROUNDING = 1e-3  # relative; two workers add in another order than one


def require_stopped(ended):
    """Fail unless a job was stopped without noise and says how to go on."""
    assert ended.status == "STOPPED"
    assert ended.log.count("interrupted; the same command resumes\n") == 1
    own = [line for line in ended.log.splitlines() if not line.startswith("(")]  # not Ray's actors
    for noise in ("Traceback", "SIGTERM", "KeyboardInterrupt"):
        assert not any(noise in line for line in own)


def in_this_process(experiment):
    return replace(experiment.training, workers=0)


def history(path):
    return [comparable(json.loads(line)) for line in path.read_text().splitlines()]


def comparable(record):
    """What an epoch came to, whatever it took."""
    return record | {"seconds": 0.0} | asdict(Cost())


def require_same(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, rel=ROUNDING, abs=ROUNDING)


def living_hosts(cluster, kind):
    """Names of the nodes on which actors of a class live."""
    return {actor["node"] for actor in cluster.actors(kind) if actor["state"] == "ALIVE"}


def part_bytes(root):
    return {path.name: path.read_bytes() for path in sorted(root.glob("cases/*.parquet"))}


def test_a_build(cluster, small_preset, build_undisturbed, tmp_path):
    settings = (f"results.path={tmp_path}", "library.cases=240", "library.cases_per_part=20")
    root = tmp_path / "library"

    def cases():
        return len(list(root.glob(".spool/*.arrow"))) + 20 * len(part_bytes(root))

    job = cluster.submit("build_library", small_preset, *settings)
    job.until(lambda: cases() >= 10)
    require_stopped(job.stop())
    survived, before = part_bytes(root), cases()
    assert before < 240
    assert not (root / "manifest.json").exists()

    job = cluster.submit("build_library", small_preset, *settings)
    job.until(lambda: cases() >= before + 20)
    cluster.kill("one")
    job.end_well()
    assert cluster.living() == {"head", "two"}
    build_undisturbed(tmp_path / "whole", small_preset, settings)
    assert part_bytes(root) == part_bytes(tmp_path / "whole")
    assert survived.items() <= part_bytes(root).items()
    for name in ("manifest.json", "statistics.json"):
        built, whole = (
            json.loads((tmp_path / folder / name).read_text()) for folder in ("library", "whole")
        )
        assert built | {"cost": None} == whole | {"cost": None}
    assert not (root / ".spool").exists()
    assert not (root / ".staging").exists()


def test_a_training(cluster, small_preset, without_ray, tmp_path):
    settings = (f"results.path={tmp_path}", "training.epochs=40")
    experiment = load(Experiment, small_preset, settings)
    library = without_ray(experiment.library, tmp_path / "library")
    folder, seen = tmp_path / "training", set()

    def checkpoints():
        seen.update(folder.glob("ray/*/checkpoint_*"))
        return len(seen)

    job = cluster.submit("train", small_preset, *settings)
    job.until(lambda: checkpoints() >= 2)
    require_stopped(job.stop())
    assert not (folder / "metrics.json").exists()

    before = checkpoints()
    job = cluster.submit("train", small_preset, *settings)
    job.until(lambda: checkpoints() >= before + 2)
    # Both workers are on it: the other node has no processor beyond what they reserve.
    (lost,) = living_hosts(cluster, "RayTrainWorker")
    cluster.kill(lost)
    log = job.end_well()
    assert log.count("resuming after epoch") >= 2  # once for the stop, once for the loss
    whole = train(library, experiment.model, in_this_process(experiment), tmp_path / "whole")
    require_same(history(folder / "history.jsonl"), history(tmp_path / "whole/history.jsonl"))
    trained = json.loads((folder / "metrics.json").read_text())
    assert trained["best_epoch"] == whole["best_epoch"]
    assert cluster.living() == {"head", "one", "two"} - {lost}


def test_a_sweep(cluster, small_preset, without_ray, tmp_path):
    space = 'tuning.space={"model.dropout"={uniform=[0.0, 0.5]}}'
    # None is stopped early, so that all can be told from what they would have been.
    settings = (f"results.path={tmp_path}", space, "tuning.trials=3", "tuning.concurrency=2")
    settings += ("training.epochs=60", "tuning.grace_period=60")
    experiment = load(Experiment, small_preset, settings)
    library = without_ray(experiment.library, tmp_path / "library")
    folder = tmp_path / "tuning"
    trials = TrialFolders(folder)

    def epochs():
        """Of all trials, by the names of checkpoints: a running trial takes old ones away."""
        newest = (newest_checkpoint(trials.folder(number)) for number in trials.numbers())
        return sum(int(path.name.removeprefix(EPOCH)) for path in newest if path)

    job = cluster.submit("tune", small_preset, *settings)
    job.until(epochs)
    require_stopped(job.stop())
    assert not (folder / "metrics.json").exists()
    before, spent = {n: trials.history(n) for n in trials.numbers()}, epochs()
    assert spent < 3 * 60

    job = cluster.submit("tune", small_preset, *settings)
    job.until(lambda: epochs() > spent)
    lost = min(living_hosts(cluster, "ImplicitFunc"))
    cluster.kill(lost)
    job.end_well()
    assert cluster.living() == {"head", "one", "two"} - {lost}
    for number, history_before in before.items():  # not run again
        assert trials.history(number)[: len(history_before)] == history_before
    rows = pq.read_table(folder / "trials.parquet").to_pylist()
    assert [row["status"] for row in rows] == [FINISHED] * 3
    for row in rows:
        own = experiment.with_settings(trials.settings(row["trial"]))
        whole = tmp_path / f"whole-{row['trial']}"
        train(library, own.model, in_this_process(own), whole)
        ours = [comparable(asdict(record)) for record in trials.history(row["trial"])]
        require_same(ours, history(whole / "history.jsonl"))
    found = json.loads((folder / "metrics.json").read_text())["best"]["best_validation_r2"]
    assert found == max(row["best_validation_r2"] for row in rows)
