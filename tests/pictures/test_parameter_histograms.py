"""Histograms of parameters: every case counted, and nothing shown that does not vary."""

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fwdecg.cases.splits import ALL
from fwdecg.library.reader import Library
from fwdecg.pictures.parameter_histograms import COLUMNS, draw_parameters, varying


@pytest.fixture
def table(library: Library) -> pa.Table:
    return library.table(ALL, COLUMNS)


def replaced(table: pa.Table, column: str, values: list[float | None]) -> pa.Table:
    place = table.column_names.index(column)
    return table.set_column(place, column, pa.array(values, pa.float64()))


def drawn(figure: Figure) -> dict[str, Axes]:
    return {panel.get_xlabel(): panel for panel in figure.axes if panel.axison}


def count(panel: Axes) -> float:
    return sum(bar.get_height() for bar in panel.patches)


def test_each_panel_counts_every_case(table: pa.Table) -> None:
    panels = drawn(draw_parameters(table))
    assert {
        "D (mm$^2$/ms)",
        "patch size, 0 without patches (mm)",
        "area of the patches (%)",
    } <= panels.keys()
    assert {count(panel) for panel in panels.values()} == {10}


def test_constants_are_told_instead(table: pa.Table) -> None:
    figure = draw_parameters(table)
    names = {parameter.name for parameter in varying(table)}
    assert "solver's spacing" not in names
    assert "solver's spacing 0.5 mm" in figure.get_supxlabel()
    assert "focal" not in figure.get_supxlabel()


def test_the_legend_counts_the_cases_of_each_condition(table: pa.Table) -> None:
    (legend,) = draw_parameters(table).legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["healthy, 2", "gap junction, 2", "fibrosis, 4", "combined, 2"]


def test_a_missing_condition_and_missing_values(table: pa.Table) -> None:
    some = table.filter(pa.array([name != "healthy" for name in table["condition"].to_pylist()]))
    some = replaced(some, "stimulus_x_mm", [None, *np.linspace(1.0, 6.0, 7)])
    figure = draw_parameters(some)
    assert count(drawn(figure)["focal site from the left (mm)"]) == 7
    assert len(figure.legends[0].get_texts()) == 3


def test_rounding_is_no_variation(table: pa.Table) -> None:
    near = [0.04 * (1 + 1e-15 * case) for case in range(10)]
    shown = varying(replaced(table, "solver_dt_ms", near))
    assert "solver_dt_ms" not in {parameter.column for parameter in shown}


@pytest.mark.parametrize("case", range(10))
def test_a_single_case(table: pa.Table, case: int) -> None:
    figure = draw_parameters(table.slice(case, 1))
    (panel,) = drawn(figure).values()
    assert panel.get_xlabel() == "D (mm$^2$/ms)"
    assert count(panel) == 1
