"""A whole evaluation, its files, and that it is neither repeated nor mixed with another."""

import dataclasses
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fwdecg.cases.splits import SHIFTS
from fwdecg.errors import CheckpointError, ResultError
from fwdecg.evaluation.evaluate import evaluate
from fwdecg.evaluation.evaluation_config import EvaluationConfig
from fwdecg.library.reader import Library
from fwdecg.model import SurrogateConfig
from fwdecg.training.trained_surrogate import TrainedSurrogate, load_surrogate
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
def folder(
    library: Library, trained: TrainedSurrogate, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    root = tmp_path_factory.mktemp("results") / "evaluation"
    evaluate(library, trained, EvaluationConfig(), root)
    return root


def test_its_files(folder: Path, library: Library, trained: TrainedSurrogate) -> None:
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
def test_shifted_cases_stand_beside_the_regular_ones(
    regular_and_shifted_library: tuple[Library, Library], tmp_path: Path
) -> None:
    regular, shifted = regular_and_shifted_library
    model = SurrogateConfig(hidden_size=4, channels=(2, 2), time_embedding_size=4, readout_size=4)
    train(regular, model, TrainingConfig(epochs=1, workers=0), tmp_path / "training")
    surrogate = load_surrogate(tmp_path / "training/best.safetensors")
    folders = [tmp_path / "regular", tmp_path / "shifted"]
    without, beside = (
        evaluate(library, surrogate, EvaluationConfig(), folder)
        for library, folder in zip((regular, shifted), folders, strict=True)
    )
    assert "shifted" not in without
    assert without["predictors"] == beside["predictors"]
    assert list(beside["shifted"]) == list(SHIFTS)
    assert all(list(held["predictors"]) == PREDICTORS for held in beside["shifted"].values())
    rows = pq.read_table(folders[1] / "cases.parquet").to_pandas()
    network = rows.query("predictor == 'network'")
    assert network.groupby("split").size().to_dict() == {"test": 5} | {
        f"test_{shift}": 5 for shift in SHIFTS
    }
    overall = beside["shifted"]["stimulus"]["predictors"]["network"]["summaries"]["all"]
    mine = network.query("split == 'test_stimulus'")["r2"]
    assert overall["r2"]["mean"] == pytest.approx(mine.mean())
    assert overall["r2"]["median"] == pytest.approx(mine.median())
    reports = [(folder / "report.txt").read_text() for folder in folders]
    assert reports[1].startswith(reports[0])
    assert "Cases: 5 regular, 5 diffusivity, 5 patch_size" in reports[1]
    assert not (folders[0] / "figures/r2_by_shift.png").exists()
    assert (folders[1] / "figures/r2_by_shift.png").exists()


def test_it_is_not_repeated(folder: Path, library: Library, trained: TrainedSurrogate) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    again = evaluate(library, trained, EvaluationConfig(batch_size=1), folder)
    assert again == json.loads((folder / "metrics.json").read_text())
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_another_checkpoint_needs_another_folder(
    folder: Path, library: Library, trained: TrainedSurrogate
) -> None:
    other = dataclasses.replace(trained, epoch=4)
    with pytest.raises(ResultError, match=r"made with another epoch"):
        evaluate(library, other, EvaluationConfig(), folder)


def test_a_checkpoint_that_does_not_fit(
    library: Library, trained: TrainedSurrogate, tmp_path: Path
) -> None:
    signature = dataclasses.replace(trained.signature, frames=21)
    with pytest.raises(CheckpointError, match="frames = 21, the library has 20"):
        evaluate(
            library,
            dataclasses.replace(trained, signature=signature),
            EvaluationConfig(),
            tmp_path / "new",
        )
    assert not (tmp_path / "new").exists()
