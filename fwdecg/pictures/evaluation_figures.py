"""Pictures of an evaluation: ECGs over each other (Fig. 2 of the paper), and R^2 by condition.

Each function draws one file, in the format of its suffix, on a figure of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fwdecg.evaluation.report import PredictorReport, Spread
from fwdecg.evaluation.scores import z_scored
from fwdecg.library.statistics import Statistics
from fwdecg.pictures.ecg_panel import Ecg, Times, draw_ecg
from fwdecg.pictures.style import LEAST_SHOWN_R2, STYLE, WIDTH_INCH, ecg_label, words

Z_SCORE = "z-score"
PREDICTOR_COLOURS = ("#d55e00", "#999999", "#56b4e9", "#0072b2", "#009e73", "#f0e442")
BARS_SHARE = 0.84  # of the distance between two groups of bars


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A case's true ECG and a predicted one, in mm/ms.

    Attributes:
        case_id: number of the case.
        condition: its tissue condition.
        r2: of the prediction, over all electrodes.
        time_ms: of the frames.
        true: ECG of the library.
        predicted: ECG of the predictor.
    """

    case_id: int
    condition: str
    r2: float
    time_ms: Times
    true: Ecg
    predicted: Ecg


def draw_overlays(
    traces: Sequence[Trace], path: Path, *, rank: str, statistics: Statistics
) -> None:
    """Write true and predicted ECGs over each other, one panel per case, in z-scores.

    Args:
        traces: at most one per condition; of several electrodes the first is drawn.
        path: of the picture.
        rank: what the cases are of their condition: "best", "median" or "worst".
        statistics: of the training split.
    """
    columns = min(len(traces), 2)
    rows = -(-len(traces) // columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_INCH, 0.5 + 1.75 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, squeeze=False)
        for panel, trace in zip(panels.flat, traces, strict=False):
            true, predicted = z_scored(np.stack([trace.true, trace.predicted]), statistics)
            draw_ecg(panel, trace.time_ms, true, predicted)
            panel.set_title(
                f"{words(trace.condition)}: {rank} case (no. {trace.case_id}), "
                f"$R^2$ = {trace.r2:.3f}"
            )
        for panel in panels.flat[len(traces) :]:
            panel.set_axis_off()
        for panel in panels[-1]:
            panel.set_xlabel("time (ms)")
        for panel in panels[:, 0]:
            panel.set_ylabel(ecg_label(len(traces[0].true), Z_SCORE))
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
        figure.savefig(path)


def draw_bars(reports: Sequence[PredictorReport], path: Path) -> None:
    """Write the mean R^2 of every predictor by condition or shift, with its spread over the cases.

    Whiskers end at 1, the most that R^2 can be.

    Args:
        reports: at most six, the network first; with summaries of the same groups of cases.
        path: of the picture.
    """
    columns = list(reports[0].summaries)
    step = BARS_SHARE / len(reports)
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_INCH, 3.2), layout="constrained")
        panel = figure.subplots()
        for place, report in enumerate(reports):
            x = np.arange(len(columns)) + (place - (len(reports) - 1) / 2) * step
            bars = [report.summaries[name].r2 for name in columns]
            _draw_bars_of_one(panel, bars, x=x, colour=PREDICTOR_COLOURS[place])
            told = " (knows D)" if report.knows_tissue else ""
            panel.bar(x, 0, color=PREDICTOR_COLOURS[place], label=report.name + told)
        panel.axhline(0, color="black", linewidth=0.6)
        panel.set_xlim(-0.5, len(columns) - 0.5)
        panel.set_ylim(LEAST_SHOWN_R2, 1.25)
        panel.set_yticks(np.arange(-0.2, 1.01, 0.2))
        panel.set_xticks(range(len(columns)), [_counted(name, reports[0]) for name in columns])
        panel.tick_params(axis="x", length=0)
        panel.set_ylabel("mean $R^2$; whiskers: spread over cases")
        figure.legend(
            loc="outside upper center",
            ncols=-(-len(reports) // 2),
            handlelength=1.2,
            columnspacing=1.4,
        )
        figure.savefig(path)


def _draw_bars_of_one(
    panel: Axes, bars: Sequence[Spread], *, x: Float[np.ndarray, " bar"], colour: str
) -> None:
    mean = np.array([bar.mean for bar in bars])
    spread = np.array([bar.spread or 0.0 for bar in bars])
    shown = np.maximum(mean, LEAST_SHOWN_R2)
    width = 0.94 * BARS_SHARE / len(PREDICTOR_COLOURS)
    panel.bar(x, shown, width, color=colour, edgecolor="black", linewidth=0.4)
    low = np.clip(mean - spread, LEAST_SHOWN_R2, shown)
    high = np.clip(mean + spread, shown, 1.0)
    whiskers = np.abs([shown - low, high - shown])
    panel.errorbar(x, shown, whiskers, fmt="none", ecolor="black", elinewidth=0.8)
    for place, top, value in zip(x, np.maximum(high, 0.0), mean, strict=True):
        text = f"{value:.3f}".replace("-", "\N{MINUS SIGN}")
        panel.text(place, top + 0.03, text, rotation=90, ha="center", va="bottom", size=6.5)


def _counted(column: str, report: PredictorReport) -> str:
    cases = report.summaries[column].cases
    return f"{words(column)}\n{cases} case{'s' if cases != 1 else ''}"
