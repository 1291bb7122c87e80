"""The sampled parameters of a library's cases and what they cost, as histograms by condition."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fwdecg.library.schema import CASE_ID, CONDITION
from fwdecg.pictures.style import CONDITION_COLOURS, STYLE, WIDTH_INCH, words

BINS = 20
PANELS_A_ROW = 3
ROW_INCH = 1.7
NOTE_CHARACTERS = 120  # on a line under the panels
SAME = 1e-9  # relative spread below which a parameter is the same in every case


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A column of a library that a histogram shows.

    Attributes:
        column: its name.
        name: of the parameter in words.
        unit: in which it is shown.
        scale: from the column's unit to the one shown.
    """

    column: str
    name: str
    unit: str
    scale: float = 1.0

    @property
    def label(self) -> str:
        """Label of its axis."""
        return f"{self.name} ({self.unit})"

    def values(self, table: pa.Table) -> Float[np.ndarray, " case"]:
        """Its value in each case; NaN where the case has none."""
        return table[self.column].to_numpy().astype(np.float64) * self.scale


TISSUE_PARAMETERS = (
    Parameter(column="bulk_diffusivity_mm2_per_ms", name="D", unit="mm$^2$/ms"),
    Parameter(column="patch_size_mm", name="patch size, 0 without patches", unit="mm"),
    Parameter(column="patch_fraction", name="area of the patches", unit="%", scale=100.0),
    Parameter(column="stimulus_x_mm", name="focal site from the left", unit="mm"),
    Parameter(column="stimulus_y_mm", name="focal site from the top", unit="mm"),
    Parameter(column="stimulus_s2_start_ms", name="start of the second stimulus", unit="ms"),
)
PARAMETERS = (
    *TISSUE_PARAMETERS,
    Parameter(column="activated_fraction", name="tissue that activates", unit="%", scale=100.0),
    Parameter(column="solver_spacing_mm", name="solver's spacing", unit="mm"),
    Parameter(column="solver_dt_ms", name="solver's step", unit="ms"),
    Parameter(column="node_updates", name="cost", unit="10$^9$ node updates", scale=1e-9),
)
COLUMNS = (CASE_ID, CONDITION, *(parameter.column for parameter in PARAMETERS))


def draw_parameters(table: pa.Table) -> Figure:
    """Histograms of the parameters that vary, cases of each condition stacked.

    If none varies, as in a library of one case, D is shown all the same.

    Args:
        table: of `COLUMNS`, one row per case, at least one.
    """
    shown = varying(table) or PARAMETERS[:1]
    rows = -(-len(shown) // PANELS_A_ROW)
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_INCH, 0.6 + ROW_INCH * rows), layout="constrained")
        panels = figure.subplots(rows, PANELS_A_ROW, squeeze=False)
        for panel, parameter in zip(panels.flat, shown, strict=False):
            _draw_histogram(panel, parameter, table)
        for panel in panels.flat[len(shown) :]:
            panel.set_axis_off()
        for panel in panels[:, 0]:
            panel.set_ylabel("cases")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        figure.supxlabel(_note(table, shown), fontsize=7)
    return figure


def varying(table: pa.Table, among: Sequence[Parameter] = PARAMETERS) -> tuple[Parameter, ...]:
    """The parameters that are not the same in every case."""
    return tuple(parameter for parameter in among if _varies(parameter.values(table)))


def _varies(values: Float[np.ndarray, " case"]) -> bool:
    known = values[~np.isnan(values)]
    return bool(known.size and np.ptp(known) > SAME * np.abs(known).max())


def _draw_histogram(panel: Axes, parameter: Parameter, table: pa.Table) -> None:
    values, condition = parameter.values(table), table[CONDITION].to_numpy()
    names = [name for name in CONDITION_COLOURS if (condition == name).any()]
    own = [values[(condition == name) & ~np.isnan(values)] for name in names]
    panel.hist(
        own,
        bins=_edges(values).tolist(),
        stacked=True,
        color=[CONDITION_COLOURS[name] for name in names],
        label=[f"{words(name)}, {(condition == name).sum()}" for name in names],
        edgecolor="white",
        linewidth=0.3,
    )
    panel.set_xlabel(parameter.label)
    panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _edges(values: Float[np.ndarray, " case"]) -> Float[np.ndarray, " edge"]:
    lowest, highest = np.nanmin(values), np.nanmax(values)
    around = 0.0 if highest > lowest else max(0.5 * abs(lowest), 0.5)
    return np.linspace(lowest - around, highest + around, BINS + 1)


def _note(table: pa.Table, shown: tuple[Parameter, ...]) -> str:
    """What is the same in every case, so that no panel shows it."""
    constant = [
        f"{parameter.name} {value:.3g} {parameter.unit}"
        for parameter in PARAMETERS
        if parameter not in shown and not np.isnan(value := parameter.values(table)[0])
    ]
    if not constant:
        return ""
    return textwrap.fill(f"The same in every case: {'; '.join(constant)}.", NOTE_CHARACTERS)
