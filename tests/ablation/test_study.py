"""A study on a tiny library: its files, its reuse of finished trainings, and what it refuses."""

import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from fwdecg.ablation import study as ablation
from fwdecg.ablation.study import AblationRun, ablate, train_and_score
from fwdecg.ablation.variants import AblationConfig
from fwdecg.errors import LibraryError, ResultError
from fwdecg.evaluation.evaluate import evaluate
from fwdecg.evaluation.evaluation_config import EvaluationConfig
from fwdecg.model import SurrogateConfig
from fwdecg.runtime import nodes
from fwdecg.training import training_loop
from fwdecg.training.recipe import Recipe
from fwdecg.training.trained_surrogate import load_surrogate
from fwdecg.training.trainer import train
from fwdecg.training.training_config import TrainingConfig

FULL = Recipe(
    model=SurrogateConfig(hidden_size=8, channels=(2, 4), time_embedding_size=4, readout_size=8),
    training=TrainingConfig(epochs=5, batch_size=8, workers=2),
)
CONFIG = AblationConfig(
    variants=(
        "mean voltage: model.encoder=mean_voltage",
        "no spectral loss: training.loss.spectral_weight=0",
    ),
    seeds=(1, 2),
    epochs=2,
)


def run_here(tasks, stage):
    """Do the work of `run_tasks` without Ray."""
    for task in tasks:
        task.on_result(task.work())


@pytest.fixture(scope="module")
def library(regular_and_shifted_library):
    return regular_and_shifted_library[1]


@pytest.fixture(scope="module")
def folder(library, tmp_path_factory):
    root = tmp_path_factory.mktemp("study") / "ablation"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablation, "run_tasks", run_here)
        ablate(library, CONFIG, FULL, root)
    return root


def test_a_training_requires_a_shared_folder(library, tmp_path, monkeypatch):
    monkeypatch.setattr(nodes, "VISIBILITY_DELAYS_S", ())
    run = AblationRun(variant="full", recipe=FULL, folder=tmp_path)
    with pytest.raises(ResultError, match="is not the same folder on all nodes"):
        train_and_score(library.store, run, threads=1)


def test_the_files_of_a_study(folder, library):
    names = {str(path.relative_to(folder / "runs")) for path in folder.glob("runs/*/*")}
    variants = ("full", "mean_voltage", "no_spectral_loss")
    assert names == {f"{variant}/seed-{seed}" for variant in variants for seed in (1, 2)}
    rows = pq.read_table(folder / "cases.parquet").to_pandas()
    assert set(rows["split"]) == {"test"}  # an evaluation covers the shifted cases
    assert rows.groupby(["variant", "seed"]).size().tolist() == [library.count("test")] * 6
    metrics = json.loads((folder / "metrics.json").read_text())
    summary = metrics["comparisons"]["r2"]["mean voltage"]["all"]
    own = rows.query("variant == 'mean voltage'")["r2"]
    assert summary["mean"] == pytest.approx(own.mean())
    assert summary["against"]["difference"]["cases"] == library.count("test")
    assert [(each["variant"], each["epochs"]) for each in metrics["trainings"]][::2] == [
        ("full", 2),
        ("mean voltage", 2),
        ("no spectral loss", 2),
    ]
    assert metrics["full"]["training"]["epochs"] == 2
    spent = [each["cost"]["core_seconds"] for each in metrics["trainings"]]
    assert metrics["cost"]["core_seconds"] == pytest.approx(sum(spent))
    assert min(spent) > 0
    assert "mean voltage, gap_junction" in (folder / "report.txt").read_text()
    assert (folder / "ablation.png").stat().st_size > 1000


@pytest.mark.slow
def test_the_scores_equal_those_of_an_evaluation(folder, library, tmp_path):
    surrogate = load_surrogate(folder / "runs/full/seed-2/best.safetensors")
    evaluate(library, surrogate, EvaluationConfig(), tmp_path / "evaluation")
    evaluated = pq.read_table(tmp_path / "evaluation/cases.parquet").to_pandas()
    evaluated = evaluated.query("predictor == 'network' and split == 'test'")
    expected = evaluated.set_index("case_id")["r2"].to_dict()
    scores = pq.read_table(folder / "runs/full/seed-2/scores.parquet").to_pandas()
    assert scores.set_index("case_id")["r2"].to_dict() == expected


@pytest.mark.slow
def test_a_finished_study_is_extended_by_new_seeds_only(folder, library, monkeypatch):
    started = []

    def count_and_run(tasks, stage):
        started.extend(task.name for task in tasks)
        run_here(tasks, stage)

    monkeypatch.setattr(ablation, "run_tasks", count_and_run)
    before = json.loads((folder / "metrics.json").read_text())
    assert ablate(library, CONFIG, FULL, folder) == before
    assert started == []
    ablate(library, replace(CONFIG, seeds=(1, 2, 3)), FULL, folder)
    assert started == ["full, seed 3", "mean voltage, seed 3", "no spectral loss, seed 3"]
    ablate(library, CONFIG, FULL, folder)
    assert json.loads((folder / "metrics.json").read_text()) == before


def test_trainings_with_other_settings_are_refused(folder, library, monkeypatch):
    monkeypatch.setattr(ablation, "run_tasks", None)
    with pytest.raises(ResultError, match=r"full/seed-1 was made with another training.epochs"):
        ablate(library, replace(CONFIG, epochs=3), FULL, folder)


def test_a_library_without_test_cases(small_library, monkeypatch, tmp_path):
    counts = small_library.manifest["counts"]
    none = counts | {"ok": counts["ok"] | {"test": {"all": 0}}}
    library = replace(small_library, manifest=small_library.manifest | {"counts": none})
    with pytest.raises(LibraryError, match="has no test case"):
        ablate(library, CONFIG, FULL, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ray
@pytest.mark.slow
def test_ray_tasks_resume_from_a_checkpoint_with_the_same_result(
    ray_cluster, folder, library, monkeypatch, tmp_path
):
    """One training was interrupted after its first epoch; the others have not started."""
    keep = training_loop.keep_checkpoint

    def keep_and_interrupt(*arguments):
        keep(*arguments)
        raise InterruptedError

    monkeypatch.setattr(training_loop, "keep_checkpoint", keep_and_interrupt)
    recipe = replace(FULL, training=replace(FULL.training, epochs=2, workers=0)).with_seed(2)
    cut = tmp_path / "runs/full/seed-2"
    with pytest.raises(InterruptedError):
        train(library, recipe.model, recipe.training, cut)
    assert not (cut / "metrics.json").exists()
    monkeypatch.undo()
    first_epoch = next((cut / "checkpoints").iterdir()).name
    ablate(library, CONFIG, FULL, tmp_path)
    assert first_epoch == "epoch-000001"
    ours, theirs = (pq.read_table(root / "cases.parquet") for root in (tmp_path, folder))
    for name in ("variant", "seed", "case_id"):
        assert ours[name] == theirs[name]
    # Workers may sum in another order; the few steps of training amplify these rounding errors.
    assert ours["r2"].to_pylist() == pytest.approx(theirs["r2"].to_pylist(), rel=1e-3)
