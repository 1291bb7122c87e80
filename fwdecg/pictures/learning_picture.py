"""Learning curves of a training: losses, validation errors and learning rate by epoch."""

import json
from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fwdecg.errors import ResultError
from fwdecg.pictures.style import LOWEST_SHOWN_R2, STYLE, WIDTH_INCH, Picture
from fwdecg.runtime.storage import Store
from fwdecg.training.checkpoint import HISTORY, EpochRecord

LEARNING_FILE = "learning.png"
TRAINING, VALIDATION, LEARNING_RATE = "#e69f00", "#0072b2", "#555555"
BEST = "#009e73"


def write_learning_curves(folder: Path) -> None:
    """Write the learning curves of a finished training into its folder.

    Raises:
        ResultError: the folder has no finished training.
    """
    Store.at(folder).publish_with(LEARNING_FILE, plot_learning(folder).savefig)


def plot_learning(folder: str | Path) -> Picture:
    """Plot the losses, validation R^2, validation error and learning rate of each epoch.

    Args:
        folder: folder of a finished training.

    Raises:
        ResultError: the folder has no finished training.
    """
    history = _read_history(folder)
    best = max(history, key=lambda record: record.validation_r2)
    with rc_context(STYLE):
        figure = Picture(figsize=(WIDTH_INCH, 3.9), layout="constrained")
        panels = figure.subplots(2, 2, sharex=True)
        (loss, r2), (mae, learning_rate) = panels
        _add_curve(loss, history, "train_loss", TRAINING)
        _add_curve(loss, history, "validation_loss", VALIDATION)
        loss.set(yscale="log", ylabel="loss (z-scores)")
        _add_curve(r2, history, "validation_r2", VALIDATION)
        _limit_r2(r2, [r.validation_r2 for r in history])
        r2.set_ylabel("validation $R^2$")
        _add_curve(mae, history, "validation_mae", VALIDATION)
        mae.set(ylabel="validation MAE (z-score)", ylim=(0, None), xlabel="epoch")
        _add_curve(learning_rate, history, "learning_rate", LEARNING_RATE)
        learning_rate.set(ylabel="learning rate", ylim=(0, None), xlabel="epoch")
        label = f"best: {best.validation_r2:.4f}, epoch {best.epoch}"
        _mark_best(r2, best.epoch, best.validation_r2, label)
        _mark_best(mae, best.epoch, best.validation_mae)
        for panel in panels.flat:
            panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            panel.grid(visible=True, linewidth=0.3, color="0.85")
        loss.legend(["training", "validation"], loc="upper right")
        r2.legend(loc="lower right")
        figure.supxlabel(
            "The training loss includes the spectral term, whose weight decays to 0. "
            "The validation loss does not.",
            fontsize=7,
        )
    return figure


def _read_history(folder: str | Path) -> list[EpochRecord]:
    """Return the record of each epoch of a finished training.

    Raises:
        ResultError: the folder has no finished training.
    """
    path = Path(folder) / HISTORY
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        history = [EpochRecord(**json.loads(line)) for line in lines]
    except FileNotFoundError as error:
        raise ResultError(
            f"{path} does not exist; give the folder of a finished training"
        ) from error
    except (ValueError, TypeError) as error:
        raise ResultError(f"{path} is not the history of a training; train again") from error
    if not history:
        raise ResultError(f"{path} has no epoch; train again")
    return history


def _add_curve(panel: Axes, history: Sequence[EpochRecord], name: str, colour: str) -> None:
    panel.plot(
        [record.epoch for record in history],
        [getattr(record, name) for record in history],
        color=colour,
        linewidth=1.2,
        linestyle=(0, (4, 1)) if colour == TRAINING else "-",
        marker="o" if len(history) == 1 else "",  # a line through a single point is invisible
    )


def _mark_best(panel: Axes, epoch: int, value: float, label: str = "") -> None:
    panel.plot(epoch, value, "o", color=BEST, markersize=5, zorder=3, label=label or None)


def _limit_r2(panel: Axes, r2: Sequence[float]) -> None:
    """Cut off values below `LOWEST_SHOWN_R2`, which would flatten the rest of the curve."""
    lowest = max(min(r2), LOWEST_SHOWN_R2)
    margin = 0.05 * max(max(r2) - lowest, 1e-3)
    panel.set_ylim(lowest - margin, max(*r2, lowest) + margin)
