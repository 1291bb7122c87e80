"""Predicted ECGs drawn over the true ones, one panel for each case (Fig. 2 of the paper)."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context

from fwdecg.pictures.panels import Ecg, Times, add_ecg, ecg_label
from fwdecg.pictures.style import STYLE, WIDTH_INCH, Picture, words


@dataclass(frozen=True, kw_only=True)
class EcgPair:
    """The true and the predicted ECG of a case, both in the same unit.

    Attributes:
        case_id: number of the case.
        condition: tissue condition of the case.
        r2: R^2 of the prediction, averaged over the electrodes.
        true: ECG from the library.
        predicted: ECG from the predictor.
    """

    case_id: int
    condition: str
    r2: float
    true: Ecg
    predicted: Ecg


def plot_overlays(pairs: Sequence[EcgPair], time_ms: Times, *, rank: str) -> Picture:
    """Plot the true and predicted ECG of the first electrode of each case.

    Args:
        pairs: ECGs in z-scores, at most one case for each condition.
        time_ms: time of each frame.
        rank: rank that every case has within its condition: "best", "median" or "worst".
    """
    columns = min(len(pairs), 2)
    rows = -(-len(pairs) // columns)
    with rc_context(STYLE):
        figure = Picture(figsize=(WIDTH_INCH, 0.5 + 1.75 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, squeeze=False)
        for panel, pair in zip(panels.flat, pairs, strict=False):
            add_ecg(panel, time_ms, pair.true, pair.predicted)
            panel.set_title(
                f"{words(pair.condition)}: {rank} case (no. {pair.case_id}), $R^2$ = {pair.r2:.3f}"
            )
        for panel in panels.flat[len(pairs) :]:
            panel.set_axis_off()
        for panel in panels[-1]:
            panel.set_xlabel("time (ms)")
        for panel in panels[:, 0]:
            panel.set_ylabel(ecg_label(len(pairs[0].true), "z-score"))
        figure.add_legend(panels[0, 0])
    return figure
