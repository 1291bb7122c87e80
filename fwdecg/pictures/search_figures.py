"""Figures of a hyperparameter search: learning curves, R^2 over each parameter, R^2 over cost."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from fwdecg.pictures.style import LEAST_UNEXPLAINED, LOWEST_SHOWN_R2, STYLE, WIDTH_INCH, Picture

# Colour and marker by the status of a trial.
STYLES = {
    "finished": ("#0072b2", "o"),
    "stopped": ("#999999", "x"),
    "failed": ("#d55e00", "v"),
    "unfinished": ("#e69f00", "s"),
}
BEST = "#009e73"
COLUMNS = 3  # panels per row
R2_TICKS = (-0.2, 0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999)
R2 = "validation $R^2$"
COSTS = {"parameters": "parameters of the network", "seconds_per_epoch": "seconds per epoch"}


@runtime_checkable
class Trial(Protocol):
    """The part of a trial's record that the figures show."""

    @property
    def number(self) -> int:
        """Trial number."""

    @property
    def status(self) -> str:
        """How the trial ended, a key of `STYLES`."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Values of the varied keys."""

    @property
    def r2(self) -> Sequence[float]:
        """Validation R^2 after each epoch."""

    @property
    def parameters(self) -> int | None:
        """Number of the network's parameters; None if it could not be built."""

    @property
    def seconds_per_epoch(self) -> float | None:
        """Median time of an epoch."""


@runtime_checkable
class Dimension(Protocol):
    """A varied key with its choices, or the ends of its range."""

    @property
    def name(self) -> str:
        """Dotted name."""

    @property
    def kind(self) -> str:
        """The keyword in tuning.space: "choice", "uniform", "loguniform" or "integer"."""

    @property
    def values(self) -> tuple[Any, ...]:
        """Choices, or low and high end."""


def plot_curves(trials: Sequence[Trial], best: Trial, epochs: int) -> Picture:
    """Plot each trial's validation R^2 over its epochs, with a mark where it ended.

    Args:
        trials: trials with at least one epoch.
        best: the trial to emphasise, one of `trials`.
        epochs: epochs of a trial that is not stopped early.
    """
    with rc_context(STYLE):
        figure = Picture(figsize=(WIDTH_INCH, 3.4), layout="constrained")
        ax = figure.subplots()
        for trial in trials:
            chosen = trial is best
            ax.plot(
                range(1, len(trial.r2) + 1),
                trial.r2,
                color=_colour(trial, best),
                linewidth=1.6 if chosen else 0.8,
                zorder=3 if chosen else 2,
            )
            _mark(ax, trial, best, x=len(trial.r2), y=trial.r2[-1], size=4)
        _set_r2_axis(ax, [r2 for trial in trials for r2 in trial.r2])
        ax.set_xlim(0.5, epochs + 0.5)
        ax.set_xlabel("epoch")
        ax.set_ylabel(R2)
        _add_legend(figure, ax, trials, best)
    return figure


def plot_parameters(
    trials: Sequence[Trial],
    best: Trial,
    space: Sequence[Dimension],
    importance: Mapping[str, float | None],
) -> Picture:
    """Plot the best R^2 of each trial over each varied key.

    Args:
        trials: trials with at least one epoch.
        best: the trial to emphasise, one of `trials`.
        space: varied keys.
        importance: fraction of the variance that each key explains; None if there are too few
            trials.
    """
    columns = min(len(space), COLUMNS)
    rows = -(-len(space) // columns)
    with rc_context(STYLE):
        figure = Picture(figsize=(WIDTH_INCH, 0.5 + 2.1 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for ax, dimension in zip(axes.flat, space, strict=False):
            values = [trial.settings[dimension.name] for trial in trials]
            if dimension.kind == "choice":
                values = [dimension.values.index(value) for value in values]
            _scatter(ax, trials, best, values)
            _set_parameter_axis(ax, dimension)
            explained = importance[dimension.name]
            label = "too few trials" if explained is None else f"importance {explained:.2f}"
            ax.set_title(f"{dimension.name.rpartition('.')[2]}: {label}")
        for ax in axes.flat[len(space) :]:
            ax.set_axis_off()
        for ax in axes[:, 0]:
            ax.set_ylabel(f"best {R2}")
        _add_legend(figure, axes[0, 0], trials, best)
    return figure


def plot_cost(
    trials: Sequence[Trial], best: Trial, fronts: Mapping[str, Sequence[Trial]]
) -> Picture:
    """Plot the best R^2 of each trial over its costs.

    Args:
        trials: trials with at least one epoch.
        best: the trial to emphasise, one of `trials`.
        fronts: trials on the Pareto front of R^2 and each cost. The name of a cost is a key of
            `COSTS` and an attribute of the trials.
    """
    with rc_context(STYLE):
        figure = Picture(figsize=(WIDTH_INCH, 2.8), layout="constrained")
        axes = figure.subplots(1, len(fronts), sharey=True)
        for ax, (cost, front) in zip(axes, fronts.items(), strict=True):
            _scatter(ax, trials, best, [getattr(trial, cost) for trial in trials])
            ax.step(
                [getattr(trial, cost) for trial in front],
                [max(trial.r2) for trial in front],
                where="post",
                color="black",
                linewidth=0.8,
                zorder=1,
            )
            ax.set_xlim(left=0)
            ax.set_xlabel(COSTS[cost])
        axes[0].set_ylabel(f"best {R2}")
        _add_legend(figure, axes[0], trials, best)
    return figure


def _scatter(ax: Axes, trials: Sequence[Trial], best: Trial, positions: Sequence[float]) -> None:
    """Mark the best R^2 of each trial at its position."""
    for trial, position in zip(trials, positions, strict=True):
        _mark(ax, trial, best, x=position, y=max(*trial.r2, LOWEST_SHOWN_R2), size=5)
    _set_r2_axis(ax, [max(trial.r2) for trial in trials])


def _mark(ax: Axes, trial: Trial, best: Trial, *, x: float, y: float, size: int) -> None:
    ax.plot(x, y, STYLES[trial.status][1], color=_colour(trial, best), markersize=size)


def _colour(trial: Trial, best: Trial) -> str:
    return BEST if trial is best else STYLES[trial.status][0]


def _set_r2_axis(ax: Axes, r2: Sequence[float]) -> None:
    """Scale the vertical axis by -log10(1 - R^2).

    Good trials differ in the third decimal of R^2. On a linear axis they would overlap.
    """
    low, high = max(min(r2), LOWEST_SHOWN_R2), max(r2)
    ax.set_yscale("function", functions=(_to_axis, _from_axis))
    margin = 0.06 * max(_to_axis(high) - _to_axis(low), 1e-2)
    low, high = _from_axis(_to_axis(low) - margin), _from_axis(_to_axis(high) + margin)
    ax.set_ylim(low, high)
    ticks = [tick for tick in R2_TICKS if low <= tick <= high]
    if len(ticks) > 1:
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])


def _to_axis(r2: Any) -> Any:
    return -np.log10(np.maximum(1.0 - np.asarray(r2), LEAST_UNEXPLAINED))


def _from_axis(position: Any) -> Any:
    return 1.0 - 10.0 ** -np.asarray(position)


def _set_parameter_axis(ax: Axes, dimension: Dimension) -> None:
    if dimension.kind == "choice":
        choices = [f"{v:g}" if isinstance(v, float) else str(v) for v in dimension.values]
        ax.set_xticks(range(len(choices)), choices)
        ax.set_xlim(-0.5, len(choices) - 0.5)
        return
    low, high = dimension.values
    if dimension.kind == "loguniform":
        ax.set_xscale("log")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlim(low / 1.1, high * 1.1)
    else:
        margin = 0.04 * (high - low)
        ax.set_xlim(low - margin, high + margin)


def _add_legend(figure: Picture, ax: Axes, trials: Sequence[Trial], best: Trial) -> None:
    for status in dict.fromkeys(trial.status for trial in trials):
        colour, marker = STYLES[status]
        ax.plot([], [], marker, color=colour, markersize=4, label=status)
    ax.plot([], [], color=BEST, label=f"best (trial {best.number}, {best.status})")
    figure.add_legend(ax)
