"""How every picture looks: one style, one width, and colours that all readers tell apart.

Colours of lines and bars are Okabe and Ito's; colour maps are perceptually uniform or of one hue.
No picture touches the state of pyplot.
"""

from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "errorbar.capsize": 1.8,
    "legend.frameon": False,
    "savefig.dpi": 220,
}
CONDITION_COLOURS = {
    "healthy": "#0072b2",
    "gap_junction": "#e69f00",
    "fibrosis": "#009e73",
    "combined": "#cc79a7",
}
CONDITION_MARKERS = {"healthy": "o", "gap_junction": "s", "fibrosis": "^", "combined": "D"}
LEAST_SHOWN_R2 = -0.25  # bars, whiskers and curves that reach lower are cut off
LEAST_MISSED = 1e-6  # of 1 - R^2: an exact prediction has no logarithm
WIDTH_INCH = 7.2  # of a page's text
TRUE, PREDICTED = "black", "#d55e00"  # ECGs


class Picture(Figure):
    """A figure drawn in `STYLE` that a notebook shows by itself, without pyplot."""

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        """Write it, as any figure of matplotlib is."""
        with rc_context(STYLE):  # ticks are made as late as this
            super().savefig(*args, **kwargs)

    def _repr_png_(self) -> bytes:
        """The name by which IPython asks for it."""
        held = BytesIO()
        self.savefig(held, format="png")
        return held.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write a figure that was drawn in `STYLE`, in the format of the path's suffix."""
    with rc_context(STYLE):  # ticks are made as late as this
        figure.savefig(path)


def words(condition: str) -> str:
    """A condition's name as a heading has it."""
    return condition.replace("_", " ")


def ecg_label(electrodes: int, unit: str) -> str:
    """Label of the axis of the ECG drawn, that of the first electrode."""
    which = "ECG" if electrodes == 1 else f"ECG 1 of {electrodes}"
    return f"{which} ({unit})"
