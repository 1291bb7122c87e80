"""Pictures of a search: learning curves, results over each parameter, results over cost."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from fwdecg.pictures.style import LEAST_UNEXPLAINED, LOWEST_SHOWN_R2, STYLE, WIDTH_INCH, save
from fwdecg.tuning.search_space import CHOICE, LOGUNIFORM, Dimension
from fwdecg.tuning.settings_text import short_name, value_text
from fwdecg.tuning.trials import FAILED, FINISHED, STOPPED, UNFINISHED, TrialRecord
from fwdecg.tuning.tuning_report import pareto_front

COLOURS = {FINISHED: "#0072b2", STOPPED: "#999999", FAILED: "#d55e00", UNFINISHED: "#e69f00"}
MARKERS = {FINISHED: "o", STOPPED: "x", FAILED: "v", UNFINISHED: "s"}
BEST = "#009e73"
COLUMNS = 3
R2_TICKS = (-0.2, 0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999)
R2 = "validation $R^2$"


def draw_curves(
    trials: Sequence[TrialRecord], best: TrialRecord, path: Path, *, epochs: int
) -> None:
    """Write each trial's validation R^2 over its epochs, with a mark where it ended."""
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_INCH, 3.4), layout="constrained")
        panel = figure.subplots()
        for trial in trials:
            if not trial.history:
                continue
            r2 = [record.validation_r2 for record in trial.history]
            chosen = trial.number == best.number
            colour = BEST if chosen else COLOURS[trial.status]
            panel.plot(
                range(1, len(r2) + 1),
                r2,
                color=colour,
                linewidth=1.6 if chosen else 0.8,
                zorder=3 if chosen else 2,
            )
            panel.plot(len(r2), r2[-1], MARKERS[trial.status], color=colour, markersize=4)
        _limit(panel, [r.validation_r2 for t in trials for r in t.history])
        panel.set_xlim(0.5, epochs + 0.5)
        panel.set_xlabel("epoch")
        panel.set_ylabel(R2)
        _explain(figure, panel, trials, best)
        save(figure, path)


def draw_parameters(
    trials: Sequence[TrialRecord],
    best: TrialRecord,
    path: Path,
    *,
    space: Sequence[Dimension],
    importance: dict[str, float | None],
) -> None:
    """Write the best R^2 of each trial over each parameter, with the parameter's importance."""
    columns = min(len(space), COLUMNS)
    rows = -(-len(space) // columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_INCH, 0.5 + 2.1 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for panel, dimension in zip(panels.flat, space, strict=False):
            _scatter(panel, trials, best, x=partial(_place, dimension))
            _axis(panel, dimension)
            share = importance[dimension.name]
            told = "too few trials" if share is None else f"importance {share:.2f}"
            panel.set_title(f"{short_name(dimension.name)}: {told}")
        for panel in panels.flat[len(space) :]:
            panel.set_axis_off()
        for panel in panels[:, 0]:
            panel.set_ylabel(f"best {R2}")
        _explain(figure, panels[0, 0], trials, best)
        save(figure, path)


def draw_cost(trials: Sequence[TrialRecord], best: TrialRecord, path: Path) -> None:
    """Write the best R^2 of each trial over its cost, with the trials that none beats in both."""
    costs: dict[str, Callable[[TrialRecord], float]] = {
        "parameters of the network": lambda t: float(t.parameters or np.nan),
        "seconds per epoch": lambda t: t.seconds_per_epoch or np.nan,
    }
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_INCH, 2.8), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for panel, (label, cost) in zip(panels, costs.items(), strict=True):
            _scatter(panel, trials, best, x=cost)
            _front(panel, [(cost(t), t.best_r2 or 0.0) for t in trials if t.usable])
            panel.set_xlim(left=0)
            panel.set_xlabel(label)
        panels[0].set_ylabel(f"best {R2}")
        _explain(figure, panels[0], trials, best)
        save(figure, path)


def _scatter(
    panel: Axes,
    trials: Sequence[TrialRecord],
    best: TrialRecord,
    *,
    x: Callable[[TrialRecord], float],
) -> None:
    shown = [trial for trial in trials if trial.best_r2 is not None]
    for trial in shown:
        colour = BEST if trial.number == best.number else COLOURS[trial.status]
        height = max(trial.best_r2 or 0.0, LOWEST_SHOWN_R2)
        panel.plot(x(trial), height, MARKERS[trial.status], color=colour, markersize=5)
    _limit(panel, [trial.best_r2 or 0.0 for trial in shown])


def _front(panel: Axes, points: Sequence[tuple[float, float]]) -> None:
    """A step line through the points that none beats."""
    front = np.array([points[place] for place in pareto_front(points)])
    panel.step(front[:, 0], front[:, 1], where="post", color="black", linewidth=0.8, zorder=1)


def _limit(panel: Axes, r2: Sequence[float]) -> None:
    """An axis on which the variance that is missed falls by the same factor over each length.

    Good trials differ in the third digit, and on an even axis would lie upon each other.
    """
    low = max(min(r2, default=0.0), LOWEST_SHOWN_R2)
    high = max(r2, default=1.0)
    panel.set_yscale("function", functions=(_explained, _unexplained))
    margin = 0.06 * max(_explained(high) - _explained(low), 1e-2)
    low, high = _unexplained(_explained(low) - margin), _unexplained(_explained(high) + margin)
    panel.set_ylim(low, high)
    ticks = [tick for tick in R2_TICKS if low <= tick <= high]
    if len(ticks) > 1:
        panel.set_yticks(ticks, [f"{tick:g}" for tick in ticks])


def _explained(r2: Any) -> Any:
    return -np.log10(np.maximum(1.0 - np.asarray(r2), LEAST_UNEXPLAINED))


def _unexplained(place: Any) -> Any:
    return 1.0 - 10.0 ** -np.asarray(place)


def _place(dimension: Dimension, trial: TrialRecord) -> float:
    value = trial.settings[dimension.name]
    return dimension.scale(value) if dimension.kind == CHOICE else float(value)


def _axis(panel: Axes, dimension: Dimension) -> None:
    if dimension.kind == CHOICE:
        labels = [value_text(value) for value in dimension.values]
        panel.set_xticks(range(len(labels)), labels)
        panel.set_xlim(-0.5, len(labels) - 0.5)
        return
    low, high = dimension.values
    if dimension.kind == LOGUNIFORM:
        panel.set_xscale("log")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_xlim(low / 1.1, high * 1.1)
    else:
        margin = 0.04 * (high - low)
        panel.set_xlim(low - margin, high + margin)


def _explain(figure: Figure, panel: Axes, trials: Sequence[TrialRecord], best: TrialRecord) -> None:
    for status in dict.fromkeys(trial.status for trial in trials if trial.history):
        panel.plot([], [], MARKERS[status], color=COLOURS[status], markersize=4, label=status)
    panel.plot([], [], color=BEST, label=f"the best (trial {best.number}, {best.status})")
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
