"""The ablation study as bars (Fig. 3 of the paper), with intervals and marks of significance."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fwdecg.ablation.comparison import Comparison, Entry
from fwdecg.ablation.significance import Interval, mark
from fwdecg.pictures.style import LEAST_SHOWN_R2, STYLE, WIDTH_INCH, words

LABELS = {"r2": "mean $R^2$", "mae": "mean absolute error (z-score)"}
# The whole network, then variants; beyond the last colour they come again, hatched.
COLOURS = ("#555555", "#d55e00", "#0072b2", "#009e73", "#e69f00", "#cc79a7", "#56b4e9")
HATCHES = ("", "////", "....")
GROUP_SHARE = 0.84  # of the distance between two groups of bars
HEADROOM = 0.32  # of what bars and whiskers reach, for the numbers above them


def draw_ablation(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write a panel per metric: a group of bars per condition, a bar per variant.

    Whiskers are the 95 % bootstrap interval of the mean over cases; stars tell that a variant
    differs significantly from the whole network.

    Args:
        comparisons: one per metric, of the same variants.
        path: of the picture.
    """
    with rc_context(STYLE):
        height = 0.4 + 2.3 * len(comparisons)
        figure = Figure(figsize=(WIDTH_INCH, height), layout="constrained")
        panels = figure.subplots(len(comparisons), squeeze=False)[:, 0]
        for panel, comparison in zip(panels, comparisons, strict=True):
            _draw_panel(panel, comparison)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper center", ncols=len(labels), handlelength=1.2
        )
        figure.savefig(path)


def _draw_panel(panel: Axes, comparison: Comparison) -> None:
    columns, variants = comparison.columns, comparison.entries
    step = GROUP_SHARE / len(variants)
    floor = LEAST_SHOWN_R2 if comparison.metric == "r2" else 0.0
    reached = [0.0]
    for place, (variant, row) in enumerate(variants.items()):
        x = np.arange(len(columns)) + (place - (len(variants) - 1) / 2) * step
        entries = list(row.values())
        panel.bar(
            x,
            [max(entry.mean, floor) for entry in entries],
            0.94 * step,
            color=COLOURS[place % len(COLOURS)],
            hatch=HATCHES[place // len(COLOURS) % len(HATCHES)],
            edgecolor="black",
            linewidth=0.4,
            label=variant,
        )
        for centre, entry in zip(x, entries, strict=True):
            low, high = (max(end, floor) for end in _ends(entry))
            panel.vlines(centre, low, high, color="black", linewidth=0.8)
            text = panel.text(centre, max(high, 0.0), _caption(entry), ha="center", va="bottom")
            text.set(rotation=90, fontsize=6.0)
            reached += [low, high]
    panel.axhline(0, color="black", linewidth=0.6)
    panel.set_xlim(-0.5, len(columns) - 0.5)
    panel.set_ylim(min(reached), max(reached) + HEADROOM * (max(reached) - min(reached)))
    panel.set_xticks(range(len(columns)), [_counted(name, comparison) for name in columns])
    panel.tick_params(axis="x", length=0)
    panel.set_ylabel(LABELS[comparison.metric])


def _ends(entry: Entry) -> tuple[float, float]:
    """Of the whisker; of a single case it has no length."""
    interval = entry.interval or Interval(low=entry.mean, high=entry.mean)
    return interval.low, interval.high


def _caption(entry: Entry) -> str:
    stars = "" if entry.against is None else mark(entry.against.p_corrected)
    return f"  {entry.mean:.3f} {stars}".replace("-", "\N{MINUS SIGN}")


def _counted(column: str, comparison: Comparison) -> str:
    whole = next(iter(comparison.entries.values()))
    cases = whole[column].cases
    return f"{words(column)}\n{cases} case{'s' if cases != 1 else ''}"
