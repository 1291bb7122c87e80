"""Learning curves show the history of a training; without a history they are refused."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from fwdecg.errors import ResultError
from fwdecg.pictures.learning_picture import plot_learning, write_learning_curves
from fwdecg.training.checkpoint import EpochRecord


def record(epoch: int, r2: float) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        train_loss=1 / epoch,
        validation_loss=2 / epoch,
        validation_r2=r2,
        validation_mae=0.3 / epoch,
        best_r2=r2,
        learning_rate=1e-3 / epoch,
        omega=0.5,
        seconds=2.0,
    )


HISTORY = [record(1, -5.0), record(2, 0.9), record(3, 0.8)]


def write_history(folder: Path, history: list[EpochRecord]) -> Path:
    lines = "".join(json.dumps(asdict(epoch)) + "\n" for epoch in history)
    (folder / "history.jsonl").write_text(lines)
    return folder


def test_the_curves_are_the_history(tmp_path: Path) -> None:
    loss, r2, mae, rate = plot_learning(write_history(tmp_path, HISTORY)).axes
    np.testing.assert_allclose(loss.lines[0].get_xydata(), [(1, 1), (2, 1 / 2), (3, 1 / 3)])
    np.testing.assert_allclose(loss.lines[1].get_ydata(), [2, 1, 2 / 3])
    np.testing.assert_allclose(r2.lines[0].get_ydata(), [-5.0, 0.9, 0.8])
    np.testing.assert_allclose(mae.lines[0].get_ydata(), [0.3, 0.15, 0.1])
    np.testing.assert_allclose(rate.lines[0].get_ydata(), [1e-3, 5e-4, 1e-3 / 3])
    assert r2.lines[1].get_xydata().tolist() == [[2, 0.9]]
    assert r2.lines[1].get_label() == "best: 0.9000, epoch 2"
    assert -0.4 < r2.get_ylim()[0] < -0.25  # the first epoch is cut off
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]


def test_a_single_epoch_is_a_point(tmp_path: Path) -> None:
    loss, *_ = plot_learning(write_history(tmp_path, HISTORY[:1])).axes
    assert [line.get_marker() for line in loss.lines] == ["o", "o"]


def test_the_picture_in_the_folder_of_the_training(tmp_path: Path) -> None:
    write_learning_curves(write_history(tmp_path, HISTORY))
    assert (tmp_path / "learning.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist; give the folder of a finished training"),
        ("", "has no epoch"),
        ('{"epoch": 1}\n', "is not the history of a training"),
        ("epoch 1\n", "is not the history of a training"),
    ],
)
def test_a_missing_history_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "history.jsonl").write_text(content)
    with pytest.raises(ResultError, match=message):
        plot_learning(tmp_path)
