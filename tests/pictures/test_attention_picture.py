"""Attention maps: the weights of the surrogate itself, each in its place."""

import numpy as np
import pytest

from fwdecg.errors import MapsError
from fwdecg.library.labelled_cases import load_cases
from fwdecg.library.reader import Library
from fwdecg.pictures.attention_picture import attention_of, plot_attention, plot_attentions
from fwdecg.training.checkpoint import TrainedSurrogate


def maps_in(picture):
    return [panel for panel in picture.axes if panel.images and panel.get_xlabel()]


def test_the_weights_drawn_are_those_of_the_surrogate(
    library: Library, trained: TrainedSurrogate
) -> None:
    cases = load_cases(library, [2, 0, 3])
    picture = plot_attentions([attention_of(case, trained) for case in cases])
    panels = maps_in(picture)
    assert len(panels) == 3
    for panel, case in zip(panels, cases, strict=True):
        weights = trained.attend(case.u)[0]
        frames = len(case.u)
        # Upwards the frame, to the right the sample; an even weight is 1.
        np.testing.assert_allclose(panel.images[0].get_array(), weights.T * frames, rtol=1e-4)
        assert panel.images[0].origin == "lower"
        assert panel.images[0].get_extent() == [-1.5, 58.5, -1.5, 58.5]
        assert panel.get_xlabel() == "ECG sample written (ms)"
    assert panels[0].get_ylabel() == "frame looked at (ms)"
    assert len({panel.images[0].get_clim() for panel in panels}) == 1


def test_above_each_map_its_ecg(library: Library, trained: TrainedSurrogate) -> None:
    (case,) = load_cases(library, [2])
    picture = plot_attention(case, trained)
    (panel,) = [panel for panel in picture.axes if panel.get_title()]
    assert panel.get_title().startswith("fibrosis, no. 2\n$R^2$ = ")
    true, predicted = (line.get_ydata() for line in panel.lines)
    ratio = true[5] / case.phi_e_mm_per_ms[0, 5]
    expected = trained.predict(case.u)[0, 0] * ratio
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-6)


def test_a_case_of_other_maps(library: Library, small_library: Library, trained) -> None:
    (case,) = load_cases(small_library, [2])
    with pytest.raises(MapsError, match="as the checkpoint was trained on"):
        plot_attention(case, trained)
