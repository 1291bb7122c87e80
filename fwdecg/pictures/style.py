"""The style of every picture: fonts, width, colour-blind-safe colours, and the figure class.

Lines and bars use the colours of Okabe and Ito; colour maps are perceptually uniform or of a single
hue. No picture changes the global state of matplotlib.
"""

from io import BytesIO
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
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
LOWEST_SHOWN_R2 = -0.25  # bars, whiskers and curves below this value are cut off
LEAST_UNEXPLAINED = 1e-6  # smallest 1 - R^2 on a logarithmic axis, which cannot show 0
WIDTH_INCH = 7.2  # text width of a page


class Picture(Figure):
    """A figure in `STYLE` that displays itself in a notebook, without pyplot."""

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        """Write the figure, with the arguments of `matplotlib.figure.Figure.savefig`."""
        with rc_context(STYLE):  # matplotlib creates some ticks only now
            super().savefig(*args, **kwargs)

    def add_legend(self, panel: Axes, **options: Any) -> None:
        """Add the legend of a panel above all panels, by default in one row."""
        handles, labels = panel.get_legend_handles_labels()
        options = {"ncols": len(labels)} | options
        self.legend(handles, labels, loc="outside upper center", **options)

    def _repr_png_(self) -> bytes:
        """Return the figure as PNG; IPython calls this method to display an object."""
        buffer = BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def words(name: str) -> str:
    """Return the name of a condition with spaces instead of underscores."""
    return name.replace("_", " ")


def group_label(name: str, cases: int) -> str:
    """Return the tick label of a group of cases: its name above the number of cases."""
    return f"{words(name)}\n{cases} case{'s' if cases != 1 else ''}"
