"""One panel for each case, with its true and predicted ECG."""

import matplotlib as mpl
import numpy as np
import pytest

from fwdecg.pictures.ecg_overlays import EcgPair, plot_overlays

CONDITIONS = ("healthy", "gap_junction", "fibrosis", "combined")


def pair(condition: str) -> EcgPair:
    wave = np.sin(np.arange(12) / 2)[None].repeat(3, 0)
    return EcgPair(
        case_id=90,
        condition=condition,
        r2=0.9,
        true=wave,
        predicted=0.8 * wave,
    )


@pytest.mark.parametrize("count", [1, 3])
def test_a_panel_for_each_case(count):
    before = dict(mpl.rcParams)
    pairs = [pair(name) for name in CONDITIONS[:count]]
    picture = plot_overlays(pairs, np.arange(12) * 5.0, rank="worst")
    assert dict(mpl.rcParams) == before
    panels = [panel for panel in picture.axes if panel.axison]
    assert [panel.get_title() for panel in panels] == [
        f"{name.replace('_', ' ')}: worst case (no. 90), $R^2$ = 0.900"
        for name in CONDITIONS[:count]
    ]
    true, predicted = (line.get_ydata() for line in panels[-1].lines)
    np.testing.assert_allclose(predicted, 0.8 * true)
    assert panels[0].get_ylabel() == "ECG, electrode 0 (z-score)"
