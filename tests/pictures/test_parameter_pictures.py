"""Histograms count every case; errors lie at the parameters of their case."""

import numpy as np
import pytest

from fwdecg.cases.splits import ALL
from fwdecg.pictures.parameter_pictures import (
    COLUMNS,
    SHOWN_PARAMETERS,
    plot_errors,
    plot_histograms,
    varying,
)


@pytest.fixture
def table(library):
    columns = library.table(ALL, COLUMNS)
    return {name: columns[name].to_numpy() for name in COLUMNS}


def rows(table, chosen):
    return {name: values[chosen] for name, values in table.items()}


def panels_of(figure):
    return {panel.get_xlabel(): panel for panel in figure.axes if panel.axison}


def count(panel):
    return sum(bar.get_height() for bar in panel.patches)


def test_each_histogram_counts_every_case(table):
    figure = plot_histograms(table)
    panels = panels_of(figure)
    assert {
        "D (mm$^2$/ms)",
        "patch size, 0 without patches (mm)",
        "area of the patches (%)",
    } <= panels.keys()
    assert {count(panel) for panel in panels.values()} == {10}
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["healthy, 2", "gap junction, 2", "fibrosis, 4", "combined, 2"]


def test_a_note_lists_constant_parameters(table):
    note = plot_histograms(table).get_supxlabel()
    assert "solver's spacing" not in {each.name for each in varying(table, SHOWN_PARAMETERS)}
    assert "solver's spacing 0.5 mm" in note
    assert "focal" not in note


def test_a_missing_condition_and_missing_values(table):
    some = rows(table, table["condition"] != "healthy")
    some |= {"stimulus_x_mm": np.array([np.nan, *np.linspace(1.0, 6.0, 7)])}
    figure = plot_histograms(some)
    assert count(panels_of(figure)["focal site from the left (mm)"]) == 7
    assert len(figure.legends[0].get_texts()) == 3


def test_rounding_errors_are_no_variation(table):
    near = table | {"solver_dt_ms": 0.04 * (1 + 1e-15 * np.arange(10))}
    assert "solver_dt_ms" not in {each.column for each in varying(near, SHOWN_PARAMETERS)}


def test_histograms_of_a_single_case(table):
    (panel,) = panels_of(plot_histograms(rows(table, slice(3, 4)))).values()
    assert panel.get_xlabel() == "D (mm$^2$/ms)"
    assert count(panel) == 1


def points(panel):
    return {line.get_label(): line.get_xydata() for line in panel.lines}


def test_errors_lie_at_the_parameters_of_their_case(table):
    r2 = np.array([0.9, 1.0, -1.0, 0.99])
    scored = rows(table, [0, 2, 3, 4])
    picture = plot_errors(scored, r2=r2, mae=np.arange(4.0))
    over_d, _, over_fraction, mae_over_d, *_ = picture.axes
    drawn = points(over_d)
    assert set(drawn) == {"healthy, 1", "fibrosis, 2", "combined, 1"}
    diffusivity = table["bulk_diffusivity_mm2_per_ms"][3]
    assert tuple(drawn["combined, 1"][0]) == pytest.approx((diffusivity, 2.0))
    np.testing.assert_allclose(drawn["fibrosis, 2"][:, 1], [1e-6, 0.01], rtol=1e-6)
    np.testing.assert_allclose(
        points(over_fraction)["fibrosis, 2"][:, 0], 100 * table["patch_fraction"][[2, 4]]
    )
    np.testing.assert_allclose(points(mae_over_d)["fibrosis, 2"][:, 1], [1, 3])
    labels = [panel.get_xlabel() for panel in picture.axes[-3:]]
    assert labels[0] == "D (mm$^2$/ms)"
    assert labels[1].endswith("(mm)")
    assert labels[2].endswith("(%)")
    assert over_d.get_yscale() == "log"


def test_errors_of_a_single_case(table):
    picture = plot_errors(rows(table, [0]), r2=np.array([0.5]), mae=np.array([0.1]))
    assert [panel.get_xlabel() for panel in picture.axes] == ["", "D (mm$^2$/ms)"]
