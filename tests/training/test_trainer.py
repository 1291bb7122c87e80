"""The function `train`: what it leaves, what it rejects, and that it resumes."""

import json
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from types import SimpleNamespace

import pytest
import ray

from fwdecg.errors import ConfigError, LibraryError, ResultError, RunError
from fwdecg.model import SurrogateConfig
from fwdecg.runtime.cost import Cost
from fwdecg.training import trainer
from fwdecg.training.trained_surrogate import load_surrogate
from fwdecg.training.trainer import train
from fwdecg.training.training_config import LossConfig, TrainingConfig

MODEL = SurrogateConfig(
    hidden_size=8,
    channels=(2, 4),
    pooled_size=2,
    time_embedding_size=4,
    readout_size=8,
    dropout=0.0,
)
TRAINING = TrainingConfig(epochs=3, batch_size=4, workers=0, precision="float32")


def history(folder):
    lines = (folder / "history.jsonl").read_text().splitlines()
    return [json.loads(line) | {"seconds": 0.0} | asdict(Cost()) for line in lines]


def test_the_files_of_a_finished_training(small_library, tmp_path):
    metrics = train(small_library, MODEL, TRAINING, tmp_path)
    assert metrics == json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["epochs"] == 3
    assert metrics["best_validation_r2"] == max(r["validation_r2"] for r in history(tmp_path))
    best = load_surrogate(tmp_path / "best.safetensors")
    assert best.epoch == metrics["best_epoch"]
    assert best.signature.electrodes_mm == ((4.0, 4.0, 5.0), (0.0, 0.0, 3.0))
    assert load_surrogate(tmp_path / "last.safetensors").epoch == 3


def test_the_cost_includes_all_epochs_and_the_rest_of_the_process(small_library, tmp_path):
    before = time.process_time()
    cost = Cost(**train(small_library, MODEL, TRAINING, tmp_path)["cost"])
    assert cost.core_seconds <= time.process_time() - before + 0.05  # rounded to tenths
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    epochs_only = sum(json.loads(line)["core_seconds"] for line in lines)
    assert 0 < epochs_only <= cost.core_seconds + 0.05
    assert cost.gpu_seconds == 0.0
    assert cost.peak_memory_bytes > 50e6  # torch alone uses that much


def test_shifted_cases_do_not_enter_the_training(regular_and_shifted_library, tmp_path):
    """Both libraries have the same regular cases; a shifted one would change the losses."""
    folders = [tmp_path / "regular", tmp_path / "shifted"]
    for library, folder in zip(regular_and_shifted_library, folders, strict=True):
        train(library, MODEL, TRAINING, folder)
    assert history(folders[0]) == history(folders[1])


def test_a_finished_training_is_not_run_again(small_library, tmp_path, monkeypatch):
    first = train(small_library, MODEL, TRAINING, tmp_path)
    monkeypatch.setattr(trainer, "_train_in_process", None)
    assert train(small_library, MODEL, TRAINING, tmp_path) == first


def test_a_training_that_finished_while_this_one_waited_is_kept(
    small_library, tmp_path, monkeypatch
):
    @contextmanager
    def wait_for_the_other(store, work):
        store.publish_json("metrics.json", {"epochs": 3})
        yield

    monkeypatch.setattr(trainer, "exclusive_use", wait_for_the_other)
    monkeypatch.setattr(trainer, "_train_in_process", None)
    assert train(small_library, MODEL, TRAINING, tmp_path) == {"epochs": 3}


def test_a_constant_ecg_of_the_training_split_is_rejected(small_library, tmp_path):
    statistics = replace(small_library.statistics, phi_e_spread=(1.0, 0.0))
    library = replace(small_library, statistics=statistics)
    with pytest.raises(LibraryError, match="the ECG of electrode 1 is constant over the train spl"):
        train(library, MODEL, TRAINING, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_another_training_is_rejected(small_library, tmp_path):
    train(small_library, MODEL, TRAINING, tmp_path)
    with pytest.raises(ResultError, match=r"made with another training.learning_rate; choose"):
        train(small_library, MODEL, replace(TRAINING, learning_rate=1e-4), tmp_path)


def test_more_workers_than_cases_are_rejected(small_library, tmp_path):
    with pytest.raises(LibraryError, match="has 1 validation cases for 2 workers; lower"):
        train(small_library, MODEL, replace(TRAINING, workers=2), tmp_path)


def test_a_missing_gpu_is_an_error(small_library, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="training.device = 'gpu': PyTorch finds no GPU here"):
        train(small_library, MODEL, replace(TRAINING, device="gpu"), tmp_path)


@pytest.mark.parametrize(
    ("device", "gpus", "used"),
    [
        ("auto", 0, False),
        ("auto", 1, False),
        ("auto", 2, True),
        ("cpu", 2, False),
        ("gpu", 0, True),  # the autoscaler adds them
    ],
)
def test_workers_use_gpus_if_each_gets_one_or_the_setting_demands_it(
    device, gpus, used, monkeypatch
):
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8.0, "GPU": float(gpus)})
    scaling = trainer._scaling(replace(TRAINING, workers=2, device=device))
    assert scaling.use_gpu is used
    assert scaling.resources_per_worker.get("GPU", 0) == used


def test_mirroring_that_changes_the_ecg_is_rejected(small_library, tmp_path):
    with pytest.raises(ConfigError, match=r"the ECG at \[0.0, 0.0, 3.0\] mm changes"):
        train(small_library, MODEL, replace(TRAINING, mirror=True), tmp_path)


@pytest.mark.ray
def test_a_ray_worker_reaches_the_losses_of_this_process(ray_cluster, small_library, tmp_path):
    train(small_library, MODEL, TRAINING, tmp_path / "alone")
    train(small_library, MODEL, replace(TRAINING, workers=1), tmp_path / "ray")
    for own, rays in zip(history(tmp_path / "alone"), history(tmp_path / "ray"), strict=True):
        assert rays == pytest.approx(own, rel=1e-5)
    assert not (tmp_path / "ray/.staging").exists()


@pytest.mark.ray
@pytest.mark.slow
def test_divergence_on_a_ray_worker_raises_the_same_error(ray_cluster, small_library, tmp_path):
    diverging = replace(TRAINING, workers=1, loss=LossConfig(spectral_weight=1e39))
    with pytest.raises(RunError, match="the training loss is not finite; lower"):
        train(small_library, MODEL, diverging, tmp_path)


@pytest.mark.ray
def test_workers_must_leave_a_cpu_to_read_the_data(ray_cluster, small_library, tmp_path):
    greedy = replace(TRAINING, workers=1, cpus_per_worker=2.0)
    with pytest.raises(ConfigError, match="must leave one of the cluster's 2 CPUs"):
        train(small_library, MODEL, greedy, tmp_path)


@pytest.mark.ray
def test_workers_wait_for_nodes_where_nodes_may_join(ray_cluster, monkeypatch, caplog):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    assert trainer._cpus_per_worker(replace(TRAINING, workers=2, cpus_per_worker=4.0)) == 4.0
    assert "waiting for more nodes" in caplog.text


def test_failures_of_workers_count_as_retries_while_any_is_left(monkeypatch):
    counted = []
    for name in ("RETRIES", "FAILURES"):
        counter = SimpleNamespace(
            add=partial(lambda name, stage: counted.append((name, stage)), name)
        )
        monkeypatch.setattr(trainer, name, counter)
    failures = trainer._FailureCounter(2)
    for _ in range(3):
        failures.after_exception(None, {0: RuntimeError("connection reset")})
    assert counted == [("RETRIES", "training")] * 2 + [("FAILURES", "training")]


def test_copies_that_killed_workers_left_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    for name in ("copies-dead/train", "copies-other/train", "more-dead/train"):
        (tmp_path / name).mkdir(parents=True)
    trainer._remove_leftovers("copies", {"other"})
    assert {path.name for path in tmp_path.iterdir()} == {"copies-other", "more-dead"}
