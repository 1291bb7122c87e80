"""Bars and whiskers at their values, cut off where they would leave the picture."""

import numpy as np
import pytest
from matplotlib.container import BarContainer, ErrorbarContainer

from fwdecg.pictures.bar_charts import Bar, plot_ablation, plot_r2_bars
from fwdecg.pictures.style import LOWEST_SHOWN_R2

GROUPS = {"gap_junction": 1, "all": 2}


def bars(*means: float, whisker: float = 0.0, mark: str = "") -> list[Bar]:
    return [Bar(mean=mean, low=mean - whisker, high=mean + whisker, mark=mark) for mean in means]


def heights(panel) -> list[list[float]]:
    """Heights of the bars of each series."""
    drawn = [each for each in panel.containers if isinstance(each, BarContainer)]
    return [[bar.get_height() for bar in series] for series in drawn]


def test_bars_of_r2():
    series = {"network": bars(0.9, 0.8, whisker=0.2), "nominal": bars(-3.0, 0.1, whisker=5.0)}
    (panel,) = plot_r2_bars(GROUPS, series).axes
    drawn = [each for each in panel.containers if isinstance(each, BarContainer)]
    first, second = (each.patches[0] for each in drawn[::2])  # between them: bars of the legend
    assert first.get_x() + first.get_width() == pytest.approx(second.get_x(), abs=0.06)
    assert heights(panel)[::2] == [[0.9, 0.8], [LOWEST_SHOWN_R2, 0.1]]
    whiskers = [each for each in panel.containers if isinstance(each, ErrorbarContainer)]
    ends = np.concatenate([lines.get_segments() for each in whiskers for lines in each.lines[2]])
    assert ends[..., 1].min() == LOWEST_SHOWN_R2
    assert ends[..., 1].max() == 1.0
    assert [text.get_text() for text in panel.texts] == [
        "0.900",
        "0.800",
        "\N{MINUS SIGN}3.000",
        "0.100",
    ]
    assert [label.get_text() for label in panel.get_xticklabels()] == [
        "gap junction\n1 case",
        "all\n2 cases",
    ]


@pytest.mark.parametrize("worst", [-0.1, -3.0])
def test_bars_of_an_ablation(worst):
    series = {"full": bars(0.9, 0.8), "mean voltage": bars(worst, 0.7, whisker=0.1, mark="*")}
    picture = plot_ablation(GROUPS, {"r2": series, "mae": {"full": bars(0.1, 0.2)}})
    r2, mae = picture.axes
    shown = max(worst, LOWEST_SHOWN_R2)
    assert heights(r2) == [[0.9, 0.8], [shown, 0.7]]
    assert r2.get_ylim()[0] == max(worst - 0.1, LOWEST_SHOWN_R2)
    assert r2.get_ylim()[1] > 0.9
    assert [text.get_text().split() for text in r2.texts[2:]] == [
        [f"{worst:.3f}".replace("-", "\N{MINUS SIGN}"), "*"],
        ["0.700", "*"],
    ]
    assert mae.get_ylim()[0] == 0
