"""Learning curves of a training: losses, errors of validation, and what steered it."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fwdecg.errors import ResultError
from fwdecg.pictures.style import LEAST_SHOWN_R2, STYLE, WIDTH_INCH, Picture, save
from fwdecg.runtime.storage import Store
from fwdecg.training.run import EpochRecord
from fwdecg.training.training_folder import HISTORY

LEARNING = "learning.png"
TRAINING, VALIDATION, STEERING = "#e69f00", "#0072b2", "#555555"
BEST = "#009e73"


def draw_learning(folder: Path) -> None:
    """Write the learning curves of a finished training into its folder.

    Raises:
        ResultError: there is no finished training.
    """
    Store.at(folder).publish_with(LEARNING, partial(save, plot_learning(folder)))


def plot_learning(folder: str | Path) -> Picture:
    """Losses, R^2 and error of validation, learning rate and spectral weight over the epochs.

    Args:
        folder: of a finished training.

    Raises:
        ResultError: there is no finished training.
    """
    return plot_history(read_history(folder))


def read_history(folder: str | Path) -> list[EpochRecord]:
    """What each epoch of a finished training came to.

    Raises:
        ResultError: there is no finished training.
    """
    path = Path(folder) / HISTORY
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        history = [EpochRecord(**json.loads(line)) for line in lines]
    except FileNotFoundError as error:
        raise ResultError(
            f"{path}: there is none; give the folder of a finished training"
        ) from error
    except (ValueError, TypeError) as error:
        raise ResultError(f"{path} is not the history of a training; train again") from error
    if not history:
        raise ResultError(f"{path} has no epoch; train again")
    return history


def plot_history(history: Sequence[EpochRecord]) -> Picture:
    """The learning curves of at least one epoch."""
    best = max(history, key=lambda record: record.validation_r2)
    epochs = [record.epoch for record in history]
    with rc_context(STYLE):
        figure = Picture(figsize=(WIDTH_INCH, 3.9), layout="constrained")
        panels = figure.subplots(2, 2, sharex=True)
        (loss, r2), (mae, steering) = panels
        _curve(loss, epochs, [r.train_loss for r in history], TRAINING)
        _curve(loss, epochs, [r.validation_loss for r in history], VALIDATION)
        loss.set(yscale="log", ylabel="loss (z-scores)")
        _curve(r2, epochs, [r.validation_r2 for r in history], VALIDATION)
        _limit_r2(r2, [r.validation_r2 for r in history])
        r2.set_ylabel("validation $R^2$")
        _curve(mae, epochs, [r.validation_mae for r in history], VALIDATION)
        mae.set(ylabel="validation MAE (z-score)", ylim=(0, None), xlabel="epoch")
        _curve(steering, epochs, [r.learning_rate for r in history], STEERING)
        steering.set(ylabel="learning rate", ylim=(0, None), xlabel="epoch")
        label = f"best: {best.validation_r2:.4f}, epoch {best.epoch}"
        _mark_best(r2, best.epoch, best.validation_r2, label)
        _mark_best(mae, best.epoch, best.validation_mae)
        for panel in panels.flat:
            panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            panel.grid(visible=True, linewidth=0.3, color="0.85")
        loss.legend(["training", "validation"], loc="upper right")
        r2.legend(loc="lower right")
        figure.supxlabel(
            "The training loss has the spectral term, whose weight falls to 0; that of validation "
            "has not.",
            fontsize=7,
        )
    return figure


def _curve(panel: Axes, epochs: Sequence[int], values: Sequence[float], colour: str) -> None:
    panel.plot(
        epochs,
        values,
        color=colour,
        linewidth=1.2,
        linestyle=(0, (4, 1)) if colour == TRAINING else "-",
        marker="o" if len(epochs) == 1 else "",  # a single epoch has no line
    )


def _mark_best(panel: Axes, epoch: int, value: float, label: str = "") -> None:
    panel.plot(epoch, value, "o", color=BEST, markersize=5, zorder=3, label=label or None)


def _limit_r2(panel: Axes, r2: Sequence[float]) -> None:
    lowest = max(min(r2), LEAST_SHOWN_R2)
    margin = 0.05 * max(max(r2) - lowest, 1e-3)
    panel.set_ylim(lowest - margin, max(*r2, lowest) + margin)
