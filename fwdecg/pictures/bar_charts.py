"""Grouped bars of a mean metric: predictors by condition, and variants of an ablation study.

Each group of bars belongs to a condition or shift, each series of bars to a predictor or variant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes

from fwdecg.pictures.style import LOWEST_SHOWN_R2, STYLE, WIDTH_INCH, Picture, group_label

METRIC_LABELS = {"r2": "mean $R^2$", "mae": "mean absolute error (z-score)"}
PREDICTOR_COLOURS = ("#d55e00", "#999999", "#56b4e9", "#0072b2", "#009e73", "#f0e442")
# The full network, then its variants. Further variants repeat the colours with a hatch.
VARIANT_COLOURS = ("#555555", "#d55e00", "#0072b2", "#009e73", "#e69f00", "#cc79a7", "#56b4e9")
HATCHES = ("", "////", "....")
GROUP_WIDTH = 0.84  # relative to the distance between the centres of two groups
BAR_WIDTH = 0.94  # relative to the distance between the centres of two bars of a group
HEADROOM = 0.32  # free space for the values above the bars, relative to the range of the bars


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar with a whisker and its value as text.

    Attributes:
        mean: height of the bar.
        low: lower end of the whisker.
        high: upper end of the whisker.
        mark: text after the value, such as stars of significance.
    """

    mean: float
    low: float
    high: float
    mark: str = ""


BarSeries = Mapping[str, Sequence[Bar]]  # by name of the series; one bar for each group


def plot_r2_bars(groups: Mapping[str, int], series: BarSeries) -> Picture:
    """Plot the mean R^2 of each predictor, with whiskers of one standard deviation over cases.

    Whiskers end at 1, the maximum of R^2.

    Args:
        groups: number of cases in each group, by name of the group.
        series: bars of each predictor, at most six predictors.
    """
    with rc_context(STYLE):
        figure = Picture(figsize=(WIDTH_INCH, 3.2), layout="constrained")
        panel = figure.subplots()
        for place, (name, bars) in enumerate(series.items()):
            colour = PREDICTOR_COLOURS[place]
            x = _positions(groups, series, place)
            width = BAR_WIDTH * GROUP_WIDTH / len(series)
            _add_predictor(panel, bars, x=x, width=width, colour=colour)
            panel.bar(x, 0, color=colour, label=name)
        _finish(panel, groups)
        panel.set_ylim(LOWEST_SHOWN_R2, 1.25)
        panel.set_yticks(np.arange(-0.2, 1.01, 0.2))
        panel.set_ylabel("mean $R^2$; whiskers: SD over cases")
        columns = -(-len(series) // 2)
        figure.add_legend(panel, ncols=columns, handlelength=1.2, columnspacing=1.4)
    return figure


def plot_ablation(groups: Mapping[str, int], metrics: Mapping[str, BarSeries]) -> Picture:
    """Plot one panel for each metric of an ablation study (Fig. 3 of the paper).

    Args:
        groups: number of cases in each condition, by name.
        metrics: bars of each variant by metric, "r2" or "mae"; the full network comes first.
    """
    with rc_context(STYLE):
        height = 0.4 + 2.3 * len(metrics)
        figure = Picture(figsize=(WIDTH_INCH, height), layout="constrained")
        panels = figure.subplots(len(metrics), squeeze=False)[:, 0]
        for panel, (metric, series) in zip(panels, metrics.items(), strict=True):
            floor = LOWEST_SHOWN_R2 if metric == "r2" else 0.0
            _add_variants(panel, groups, series, floor)
            panel.set_ylabel(METRIC_LABELS[metric])
        figure.add_legend(panels[0], handlelength=1.2)
    return figure


def _positions(groups: Mapping[str, int], series: BarSeries, place: int) -> np.ndarray:
    """Return the x coordinate of the bars of one series, centred about the groups."""
    step = GROUP_WIDTH / len(series)
    return np.arange(len(groups)) + (place - (len(series) - 1) / 2) * step


def _add_predictor(
    panel: Axes, bars: Sequence[Bar], *, x: np.ndarray, width: float, colour: str
) -> None:
    mean = np.array([bar.mean for bar in bars])
    shown = np.maximum(mean, LOWEST_SHOWN_R2)
    panel.bar(x, shown, width, color=colour, edgecolor="black", linewidth=0.4)
    low = np.clip([bar.low for bar in bars], LOWEST_SHOWN_R2, shown)
    high = np.clip([bar.high for bar in bars], shown, 1.0)
    whiskers = np.abs([shown - low, high - shown])
    panel.errorbar(x, shown, whiskers, fmt="none", ecolor="black", elinewidth=0.8)
    for centre, top, bar in zip(x, np.maximum(high, 0.0), bars, strict=True):
        _add_value(panel, centre, top + 0.03, _value_text(bar), size=6.5)


def _add_variants(panel: Axes, groups: Mapping[str, int], series: BarSeries, floor: float) -> None:
    lowest = highest = 0.0
    for place, (name, bars) in enumerate(series.items()):
        x = _positions(groups, series, place)
        panel.bar(
            x,
            [max(bar.mean, floor) for bar in bars],
            BAR_WIDTH * GROUP_WIDTH / len(series),
            color=VARIANT_COLOURS[place % len(VARIANT_COLOURS)],
            hatch=HATCHES[place // len(VARIANT_COLOURS) % len(HATCHES)],
            edgecolor="black",
            linewidth=0.4,
            label=name,
        )
        for centre, bar in zip(x, bars, strict=True):
            low, high = max(bar.low, floor), max(bar.high, floor)
            panel.vlines(centre, low, high, color="black", linewidth=0.8)
            _add_value(panel, centre, max(high, 0.0), f"  {_value_text(bar)} {bar.mark}", size=6.0)
            lowest, highest = min(lowest, low), max(highest, high)
    _finish(panel, groups)
    panel.set_ylim(lowest, highest + HEADROOM * (highest - lowest))


def _value_text(bar: Bar) -> str:
    return f"{bar.mean:.3f}".replace("-", "\N{MINUS SIGN}")


def _add_value(panel: Axes, x: float, y: float, text: str, *, size: float) -> None:
    panel.text(x, y, text, rotation=90, ha="center", va="bottom", size=size)


def _finish(panel: Axes, groups: Mapping[str, int]) -> None:
    """Add the zero line and the names of the groups."""
    panel.axhline(0, color="black", linewidth=0.6)
    panel.set_xlim(-0.5, len(groups) - 0.5)
    labels = [group_label(name, cases) for name, cases in groups.items()]
    panel.set_xticks(range(len(groups)), labels)
    panel.tick_params(axis="x", length=0)
