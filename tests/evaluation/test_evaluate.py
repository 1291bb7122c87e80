"""A complete evaluation: its files, its reuse, and evaluations that do not match the folder."""

import dataclasses
import json

import pyarrow.parquet as pq
import pytest

from fwdecg.cases.splits import SHIFTS
from fwdecg.errors import CheckpointError, ResultError
from fwdecg.evaluation.evaluate import evaluate
from fwdecg.evaluation.evaluation_config import EvaluationConfig
from fwdecg.model import SurrogateConfig
from fwdecg.training.trained_surrogate import load_surrogate
from fwdecg.training.trainer import train
from fwdecg.training.training_config import TrainingConfig

PREDICTORS = [
    "network",
    "exact operator",
    "read-off operator",
    "nominal operator",
    "ridge regression",
    "mean voltage",
]


@pytest.fixture(scope="module")
def folder(library, trained, tmp_path_factory):
    root = tmp_path_factory.mktemp("results") / "evaluation"
    evaluate(library, trained, EvaluationConfig(), root)
    return root


def test_the_files_of_an_evaluation(folder, library, trained):
    metrics = json.loads((folder / "metrics.json").read_text())
    assert list(metrics["predictors"]) == PREDICTORS
    assert metrics["library_hash"] == library.config_hash
    assert (metrics["epoch"], metrics["training_hash"]) == (3, trained.signature.training_hash)
    table = pq.read_table(folder / "cases.parquet")
    assert table.num_rows == library.count("test") * len(PREDICTORS)
    overall = metrics["predictors"]["mean voltage"]["summaries"]["all"]
    rows = table.to_pandas().query("predictor == 'mean voltage'")
    assert overall["r2"]["mean"] == pytest.approx(rows["r2"].mean())
    assert overall["cases"] == len(rows)
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names >= {"r2.png", "ecg_best.png", "ecg_median.png", "ecg_worst.png"}
    assert names >= {"attention.png", "errors.png"}
    assert any(name.startswith("case_") for name in names)
    assert "R2" in (folder / "report.txt").read_text()
    assert not (folder / ".staging").exists()


@pytest.mark.slow
def test_shifted_cases_are_reported_after_the_regular_ones(regular_and_shifted_library, tmp_path):
    regular, shifted = regular_and_shifted_library
    model = SurrogateConfig(hidden_size=4, channels=(2, 2), time_embedding_size=4, readout_size=4)
    train(regular, model, TrainingConfig(epochs=1, workers=0), tmp_path / "training")
    surrogate = load_surrogate(tmp_path / "training/best.safetensors")
    folders = [tmp_path / "regular", tmp_path / "shifted"]
    without, with_shifts = (
        evaluate(library, surrogate, EvaluationConfig(), folder)
        for library, folder in zip((regular, shifted), folders, strict=True)
    )
    assert "shifted" not in without
    assert without["predictors"] == with_shifts["predictors"]
    assert list(with_shifts["shifted"]) == list(SHIFTS)
    assert all(
        list(result["predictors"]) == PREDICTORS for result in with_shifts["shifted"].values()
    )
    rows = pq.read_table(folders[1] / "cases.parquet").to_pandas()
    network = rows.query("predictor == 'network'")
    assert network.groupby("split").size().to_dict() == {"test": 5} | {
        f"test_{shift}": 5 for shift in SHIFTS
    }
    overall = with_shifts["shifted"]["stimulus"]["predictors"]["network"]["summaries"]["all"]
    own = network.query("split == 'test_stimulus'")["r2"]
    assert overall["r2"]["mean"] == pytest.approx(own.mean())
    assert overall["r2"]["median"] == pytest.approx(own.median())
    reports = [(folder / "report.txt").read_text() for folder in folders]
    assert reports[1].startswith(reports[0])
    assert "Cases: 5 regular, 5 diffusivity, 5 patch_size" in reports[1]
    assert not (folders[0] / "figures/r2_by_shift.png").exists()
    assert (folders[1] / "figures/r2_by_shift.png").exists()


def test_a_finished_evaluation_is_reused(folder, library, trained):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    again = evaluate(library, trained, EvaluationConfig(batch_size=1), folder)
    assert again == json.loads((folder / "metrics.json").read_text())
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_the_folder_of_another_checkpoint_is_refused(folder, library, trained):
    other = dataclasses.replace(trained, epoch=4)
    with pytest.raises(ResultError, match=r"made with another epoch"):
        evaluate(library, other, EvaluationConfig(), folder)


def test_a_checkpoint_that_does_not_fit_is_refused(library, trained, tmp_path):
    signature = dataclasses.replace(trained.signature, frames=21)
    with pytest.raises(CheckpointError, match="frames = 21, the library has 20"):
        evaluate(
            library,
            dataclasses.replace(trained, signature=signature),
            EvaluationConfig(),
            tmp_path / "new",
        )
    assert not (tmp_path / "new").exists()
