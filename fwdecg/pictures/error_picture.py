"""A predictor's error on each case over the drawn parameters of its tissue."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes

from fwdecg.evaluation.scores import CaseScore
from fwdecg.library.schema import CASE_ID
from fwdecg.pictures.parameter_histograms import TISSUE_PARAMETERS, Parameter, varying
from fwdecg.pictures.style import (
    CONDITION_COLOURS,
    CONDITION_MARKERS,
    LEAST_MISSED,
    STYLE,
    WIDTH_INCH,
    Picture,
    words,
)

ROW_INCH, REST_INCH = 1.6, 0.7

ERRORS: dict[str, Callable[[CaseScore], float]] = {
    "1 \N{MINUS SIGN} $R^2$": lambda score: max(1 - score.r2, LEAST_MISSED),
    "mean absolute error\n(z-score)": lambda score: score.mae,
}


def plot_errors(scores: Sequence[CaseScore], table: pa.Table) -> Picture:
    """1 - R^2 and the mean absolute error of each case over D, patches and focal site.

    Parameters that are the same in every case are left out; if all are, D is shown all the same.

    Args:
        scores: of one predictor, at least one.
        table: of the library's cases, with `parameters.COLUMNS`; others than those scored are
            left out.
    """
    own = table.filter(pc.is_in(table[CASE_ID], pa.array([s.case_id for s in scores])))
    ordered = sorted(scores, key=lambda score: score.case_id)
    own = own.sort_by(CASE_ID)
    shown = varying(own, TISSUE_PARAMETERS) or TISSUE_PARAMETERS[:1]
    with rc_context(STYLE):
        height = REST_INCH + ROW_INCH * len(ERRORS)
        figure = Picture(figsize=(WIDTH_INCH, height), layout="constrained")
        panels = figure.subplots(len(ERRORS), len(shown), sharex="col", sharey="row", squeeze=False)
        for row, (label, error) in zip(panels, ERRORS.items(), strict=True):
            for panel, parameter in zip(row, shown, strict=True):
                values = parameter.values(own)
                _scatter(panel, values, [error(score) for score in ordered], ordered)
            row[0].set(yscale="log", ylabel=label)
        for panel, parameter in zip(panels[-1], shown, strict=True):
            panel.set_xlabel(_label(parameter))
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _scatter(
    panel: Axes,
    values: Float[np.ndarray, " case"],
    errors: Sequence[float],
    scores: Sequence[CaseScore],
) -> None:
    for condition, colour in CONDITION_COLOURS.items():
        own = [place for place, score in enumerate(scores) if score.condition == condition]
        if own:
            panel.plot(
                values[own],
                np.array(errors)[own],
                CONDITION_MARKERS[condition],
                color=colour,
                markeredgecolor="black",
                markeredgewidth=0.3,
                markersize=4.5,
                label=f"{words(condition)}, {len(own)}",
            )
    panel.grid(visible=True, axis="y", linewidth=0.3, color="0.85")
    panel.set_axisbelow(True)


def _label(parameter: Parameter) -> str:
    """On two lines where panels stand close."""
    return parameter.label.replace(", ", ",\n")
