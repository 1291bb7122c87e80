"""Pictures of a library's sampled parameters: histograms, and errors over each parameter.

A table is a mapping from column names to arrays with one value for each case.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fwdecg.library.schema import CASE_ID, CONDITION
from fwdecg.pictures.style import (
    CONDITION_COLOURS,
    CONDITION_MARKERS,
    LEAST_UNEXPLAINED,
    STYLE,
    WIDTH_INCH,
    Picture,
    words,
)

BINS = 20
PANELS_PER_ROW = 3
HISTOGRAM_INCH = 1.7  # height of a row of histograms
ERROR_INCH = 1.6  # height of a row of error panels
NOTE_CHARACTERS = 120  # longest line of the note below the panels
SAME = 1e-9  # relative range below which a parameter counts as constant

CaseTable = Mapping[str, np.ndarray]
Values = Float[np.ndarray, " case"]


@dataclass(frozen=True, kw_only=True)
class ShownParameter:
    """A column of a library as an axis of a picture.

    Attributes:
        column: name of the column.
        name: name of the parameter in words.
        unit: unit of the axis.
        scale: factor from the column's unit to the axis's unit.
    """

    column: str
    name: str
    unit: str
    scale: float = 1.0

    @property
    def label(self) -> str:
        """Axis label: name and unit."""
        return f"{self.name} ({self.unit})"

    def values(self, table: CaseTable) -> Values:
        """Return the value of each case in the axis's unit; NaN where a case has none."""
        return table[self.column].astype(np.float64) * self.scale

    def varies(self, table: CaseTable) -> bool:
        """Return whether the value differs between cases."""
        values = self.values(table)
        known = values[~np.isnan(values)]
        return bool(known.size and np.ptp(known) > SAME * np.abs(known).max())


TISSUE_PARAMETERS = (
    ShownParameter(column="bulk_diffusivity_mm2_per_ms", name="D", unit="mm$^2$/ms"),
    ShownParameter(column="patch_size_mm", name="patch size, 0 without patches", unit="mm"),
    ShownParameter(column="patch_fraction", name="area of the patches", unit="%", scale=100.0),
    ShownParameter(column="stimulus_x_mm", name="focal site from the left", unit="mm"),
    ShownParameter(column="stimulus_y_mm", name="focal site from the top", unit="mm"),
    ShownParameter(column="stimulus_s2_start_ms", name="start of the second stimulus", unit="ms"),
)
SHOWN_PARAMETERS = (
    *TISSUE_PARAMETERS,
    ShownParameter(
        column="activated_fraction", name="tissue that activates", unit="%", scale=100.0
    ),
    ShownParameter(column="solver_spacing_mm", name="solver's spacing", unit="mm"),
    ShownParameter(column="solver_dt_ms", name="solver's step", unit="ms"),
    ShownParameter(column="node_updates", name="cost", unit="10$^9$ node updates", scale=1e-9),
)
COLUMNS = (CASE_ID, CONDITION, *(parameter.column for parameter in SHOWN_PARAMETERS))


def plot_histograms(table: CaseTable) -> Picture:
    """Plot a histogram of each parameter that varies, with the conditions stacked.

    If no parameter varies, as in a library of one case, the picture shows D.

    Args:
        table: columns `COLUMNS` of at least one case.
    """
    shown = varying(table, SHOWN_PARAMETERS)
    rows = -(-len(shown) // PANELS_PER_ROW)
    with rc_context(STYLE):
        figure = Picture(figsize=(WIDTH_INCH, 0.6 + HISTOGRAM_INCH * rows), layout="constrained")
        panels = figure.subplots(rows, PANELS_PER_ROW, squeeze=False)
        for panel, parameter in zip(panels.flat, shown, strict=False):
            _add_histogram(panel, parameter, table)
        for panel in panels.flat[len(shown) :]:
            panel.set_axis_off()
        for panel in panels[:, 0]:
            panel.set_ylabel("cases")
        figure.add_legend(panels[0, 0])
        figure.supxlabel(_note(table, shown), fontsize=7)
    return figure


def plot_errors(table: CaseTable, *, r2: Values, mae: Values) -> Picture:
    """Plot 1 - R^2 and the mean absolute error of each case over the parameters of its tissue.

    The picture omits parameters that do not vary; if none varies, it shows D.

    Args:
        table: columns `COLUMNS` of the scored cases.
        r2: R^2 of each case.
        mae: mean absolute error of each case, in z-scores.
    """
    errors = {
        "1 \N{MINUS SIGN} $R^2$": np.maximum(1 - r2, LEAST_UNEXPLAINED),
        "mean absolute error\n(z-score)": mae,
    }
    shown = varying(table, TISSUE_PARAMETERS)
    with rc_context(STYLE):
        height = 0.7 + ERROR_INCH * len(errors)
        figure = Picture(figsize=(WIDTH_INCH, height), layout="constrained")
        panels = figure.subplots(len(errors), len(shown), sharex="col", sharey="row", squeeze=False)
        for row, (label, error) in zip(panels, errors.items(), strict=True):
            for panel, parameter in zip(row, shown, strict=True):
                _add_points(panel, parameter.values(table), error, table[CONDITION])
            row[0].set(yscale="log", ylabel=label)
        for panel, parameter in zip(panels[-1], shown, strict=True):
            panel.set_xlabel(parameter.label.replace(", ", ",\n"))  # the panels are narrow
        figure.add_legend(panels[0, 0])
    return figure


def varying(table: CaseTable, parameters: Sequence[ShownParameter]) -> tuple[ShownParameter, ...]:
    """Return the parameters that vary between cases, or the first one if none does."""
    return tuple(each for each in parameters if each.varies(table)) or (parameters[0],)


def _add_histogram(panel: Axes, parameter: ShownParameter, table: CaseTable) -> None:
    values, condition = parameter.values(table), table[CONDITION]
    names = [name for name in CONDITION_COLOURS if (condition == name).any()]
    panel.hist(
        [values[(condition == name) & ~np.isnan(values)] for name in names],
        bins=_edges(values).tolist(),
        stacked=True,
        color=[CONDITION_COLOURS[name] for name in names],
        label=[f"{words(name)}, {(condition == name).sum()}" for name in names],
        edgecolor="white",
        linewidth=0.3,
    )
    panel.set_xlabel(parameter.label)
    panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _edges(values: Values) -> Float[np.ndarray, " edge"]:
    """Return the edges of the bins, which have a positive width even if all values are equal."""
    lowest, highest = np.nanmin(values), np.nanmax(values)
    margin = 0.0 if highest > lowest else max(0.5 * abs(lowest), 0.5)
    return np.linspace(lowest - margin, highest + margin, BINS + 1)


def _note(table: CaseTable, shown: Sequence[ShownParameter]) -> str:
    """Return a sentence that lists the constant parameters, which have no panel."""
    constant = [
        f"{parameter.name} {value:.3g} {parameter.unit}"
        for parameter in SHOWN_PARAMETERS
        if parameter not in shown and not np.isnan(value := parameter.values(table)[0])
    ]
    if not constant:
        return ""
    return textwrap.fill(f"The same in every case: {'; '.join(constant)}.", NOTE_CHARACTERS)


def _add_points(panel: Axes, values: Values, errors: Values, condition: np.ndarray) -> None:
    for name, colour in CONDITION_COLOURS.items():
        own = condition == name
        if own.any():
            panel.plot(
                values[own],
                errors[own],
                CONDITION_MARKERS[name],
                color=colour,
                markeredgecolor="black",
                markeredgewidth=0.3,
                markersize=4.5,
                label=f"{words(name)}, {own.sum()}",
            )
    panel.grid(visible=True, axis="y", linewidth=0.3, color="0.85")
    panel.set_axisbelow(True)
