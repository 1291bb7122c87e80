"""Figures of a hyperparameter search: learning curves, R^2 over each parameter, R^2 over cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from fwdecg.pictures.style import LEAST_UNEXPLAINED, LOWEST_SHOWN_R2, STYLE, WIDTH_INCH, Picture

# By the status of a trial.
COLOURS = {
    "finished": "#0072b2",
    "stopped": "#999999",
    "failed": "#d55e00",
    "unfinished": "#e69f00",
}
MARKERS = {"finished": "o", "stopped": "x", "failed": "v", "unfinished": "s"}
BEST = "#009e73"
COLUMNS = 3  # panels per row
R2_TICKS = (-0.2, 0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999)
R2 = "validation $R^2$"


@dataclass(frozen=True, kw_only=True)
class TrialCurve:
    """The learning curve of one trial.

    Attributes:
        number: trial number.
        status: finished, stopped, failed or unfinished.
        r2: validation R^2 after each epoch, at least one.
    """

    number: int
    status: str
    r2: Sequence[float]

    @property
    def best_r2(self) -> float:
        """Highest validation R^2."""
        return max(self.r2)


@dataclass(frozen=True, kw_only=True)
class ParameterPanel:
    """Trials over one parameter.

    Attributes:
        title: heading of the panel.
        positions: position of each trial on the horizontal axis.
        choices: labels at 0, 1, 2, ...; empty for a range.
        limits: low and high end of a range; (0, number of choices - 1) for choices.
        logarithmic: True for a logarithmic axis.
    """

    title: str
    positions: Sequence[float]
    choices: Sequence[str]
    limits: tuple[float, float]
    logarithmic: bool


@dataclass(frozen=True, kw_only=True)
class CostPanel:
    """Trials over one kind of cost.

    Attributes:
        label: label of the horizontal axis.
        costs: cost of each trial; NaN where it is unknown.
        front: cost and best R^2 of the trials that no other trial beats in both, by rising cost.
    """

    label: str
    costs: Sequence[float]
    front: Sequence[tuple[float, float]]


def plot_curves(trials: Sequence[TrialCurve], best: TrialCurve, *, epochs: int) -> Picture:
    """Plot each trial's validation R^2 over its epochs, with a mark where it ended.

    Args:
        trials: trials with at least one epoch.
        best: the trial to highlight.
        epochs: number of epochs of a trial that is not stopped.
    """
    with rc_context(STYLE):
        figure = Picture(figsize=(WIDTH_INCH, 3.4), layout="constrained")
        panel = figure.subplots()
        for trial in trials:
            chosen = trial.number == best.number
            panel.plot(
                range(1, len(trial.r2) + 1),
                trial.r2,
                color=_colour(trial, best),
                linewidth=1.6 if chosen else 0.8,
                zorder=3 if chosen else 2,
            )
            _mark(panel, trial, best, x=len(trial.r2), y=trial.r2[-1], size=4)
        _set_r2_axis(panel, [r2 for trial in trials for r2 in trial.r2])
        panel.set_xlim(0.5, epochs + 0.5)
        panel.set_xlabel("epoch")
        panel.set_ylabel(R2)
        _add_legend(figure, panel, trials, best)
    return figure


def plot_parameters(
    trials: Sequence[TrialCurve], best: TrialCurve, *, panels: Sequence[ParameterPanel]
) -> Picture:
    """Plot the best R^2 of each trial over each parameter.

    Args:
        trials: trials with at least one epoch.
        best: the trial to highlight.
        panels: one panel per parameter.
    """
    columns = min(len(panels), COLUMNS)
    rows = -(-len(panels) // columns)
    with rc_context(STYLE):
        figure = Picture(figsize=(WIDTH_INCH, 0.5 + 2.1 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for ax, panel in zip(axes.flat, panels, strict=False):
            _scatter(ax, trials, best, panel.positions)
            _set_parameter_axis(ax, panel)
            ax.set_title(panel.title)
        for ax in axes.flat[len(panels) :]:
            ax.set_axis_off()
        for ax in axes[:, 0]:
            ax.set_ylabel(f"best {R2}")
        _add_legend(figure, axes[0, 0], trials, best)
    return figure


def plot_cost(
    trials: Sequence[TrialCurve], best: TrialCurve, *, panels: Sequence[CostPanel]
) -> Picture:
    """Plot the best R^2 of each trial over its cost, with the Pareto front.

    Args:
        trials: trials with at least one epoch.
        best: the trial to highlight.
        panels: one panel per kind of cost.
    """
    with rc_context(STYLE):
        figure = Picture(figsize=(WIDTH_INCH, 2.8), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True)
        for ax, panel in zip(axes, panels, strict=True):
            _scatter(ax, trials, best, panel.costs)
            costs, gains = zip(*panel.front, strict=True)
            ax.step(costs, gains, where="post", color="black", linewidth=0.8, zorder=1)
            ax.set_xlim(left=0)
            ax.set_xlabel(panel.label)
        axes[0].set_ylabel(f"best {R2}")
        _add_legend(figure, axes[0], trials, best)
    return figure


def _scatter(
    ax: Axes, trials: Sequence[TrialCurve], best: TrialCurve, positions: Sequence[float]
) -> None:
    """Mark the best R^2 of each trial at its position."""
    for trial, position in zip(trials, positions, strict=True):
        _mark(ax, trial, best, x=position, y=max(trial.best_r2, LOWEST_SHOWN_R2), size=5)
    _set_r2_axis(ax, [trial.best_r2 for trial in trials])


def _mark(ax: Axes, trial: TrialCurve, best: TrialCurve, *, x: float, y: float, size: int) -> None:
    ax.plot(x, y, MARKERS[trial.status], color=_colour(trial, best), markersize=size)


def _colour(trial: TrialCurve, best: TrialCurve) -> str:
    return BEST if trial.number == best.number else COLOURS[trial.status]


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


def _set_parameter_axis(ax: Axes, panel: ParameterPanel) -> None:
    low, high = panel.limits
    if panel.choices:
        ax.set_xticks(range(len(panel.choices)), panel.choices)
        ax.set_xlim(low - 0.5, high + 0.5)
    elif panel.logarithmic:
        ax.set_xscale("log")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlim(low / 1.1, high * 1.1)
    else:
        margin = 0.04 * (high - low)
        ax.set_xlim(low - margin, high + margin)


def _add_legend(figure: Figure, ax: Axes, trials: Sequence[TrialCurve], best: TrialCurve) -> None:
    for status in dict.fromkeys(trial.status for trial in trials):
        ax.plot([], [], MARKERS[status], color=COLOURS[status], markersize=4, label=status)
    ax.plot([], [], color=BEST, label=f"best (trial {best.number}, {best.status})")
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
