"""Attention maps show the weights of the surrogate, each at its sample and frame."""

import numpy as np
import pytest

from fwdecg.errors import MapsError
from fwdecg.library.labelled_cases import load_cases
from fwdecg.pictures.attention_picture import plot_attention, plot_attentions


def test_the_weights_of_each_case(library, trained):
    cases = load_cases(library, [2, 0, 3])
    picture = plot_attentions(cases, trained)
    panels = [panel for panel in picture.axes if panel.images and panel.get_xlabel()]
    assert len(panels) == 3
    for panel, case in zip(panels, cases, strict=True):
        weights = trained.attend(case.u)[0]
        # Samples run to the right, frames upwards; a weight of 1 is uniform attention.
        np.testing.assert_allclose(panel.images[0].get_array(), weights.T * len(case.u), rtol=1e-4)
        assert panel.images[0].origin == "lower"
        assert panel.images[0].get_extent() == [-1.5, 58.5, -1.5, 58.5]
        assert panel.get_xlabel() == "ECG sample written (ms)"
    assert panels[0].get_ylabel() == "frame looked at (ms)"
    assert len({panel.images[0].get_clim() for panel in panels}) == 1


def test_the_ecg_above_the_weights(library, trained):
    (case,) = load_cases(library, [2])
    picture = plot_attention(case, trained)
    (panel,) = [panel for panel in picture.axes if panel.get_title()]
    assert panel.get_title().startswith("fibrosis, case no. 2\n$R^2$ = ")
    true, predicted = (line.get_ydata() for line in panel.lines)
    ratio = true[5] / case.phi_e_mm_per_ms[0, 5]
    expected = trained.predict(case.u)[0, 0] * ratio
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-6)


def test_maps_of_another_shape_are_refused(small_library, trained):
    (case,) = load_cases(small_library, [2])
    with pytest.raises(MapsError, match="the surrogate needs a record of 20 frames every 3 ms"):
        plot_attention(case, trained)
