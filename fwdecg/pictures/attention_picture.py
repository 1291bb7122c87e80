"""Where the decoder looks: the weights of its attention (Eq. 2-3) while it writes each ECG sample.

Axes: sample of the ECG that is written, frame that is looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float32
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.pictures.case_picture import r2_of
from fwdecg.pictures.ecg_panel import Ecg, draw_ecg, ecg_scale
from fwdecg.pictures.style import STYLE, WIDTH_INCH, Picture, ecg_label, words

if TYPE_CHECKING:
    from fwdecg.training.checkpoint import TrainedSurrogate

COLUMN_INCH, LEFT_INCH, HEIGHT_INCH = 1.75, 1.3, 3.9
COLOURS = "cividis"  # made for the colour-blind, and even in grey
SHOWN_SHARE = 0.995  # of the weights lie inside the colour scale


@dataclass(frozen=True, kw_only=True)
class Attention:
    """A case and what its surrogate does with it.

    Attributes:
        case: simulated, or of a library.
        predicted: its ECG in mm/ms.
        weights: of each frame at each sample; those of a sample sum to 1.
    """

    case: RecordedCase
    predicted: Ecg
    weights: Float32[np.ndarray, "sample frame"]


def attention_of(case: RecordedCase, surrogate: "TrainedSurrogate") -> Attention:
    """What a surrogate predicts for a case, and where it looks meanwhile.

    Raises:
        MapsError: the case is not of the kind that the surrogate was trained on.
        CheckpointError: the surrogate has no attention.
    """
    return Attention(
        case=case, predicted=surrogate.predict(case.u)[0], weights=surrogate.attend(case.u)[0]
    )


def plot_attention(case: RecordedCase, surrogate: "TrainedSurrogate") -> Picture:
    """The frames that a surrogate looks at while it writes each sample of a case's ECG.

    Args:
        case: simulated, or of a library.
        surrogate: with attention.

    Raises:
        MapsError: the case is not of the kind that the surrogate was trained on.
        CheckpointError: the surrogate has no attention.
    """
    return plot_attentions([attention_of(case, surrogate)])


def plot_attentions(cases: Sequence[Attention]) -> Picture:
    """A column for each case: its ECG, and below the weight of every frame at every sample.

    Args:
        cases: at least one; they share the scale of weights and of ECGs.
    """
    width = min(LEFT_INCH + COLUMN_INCH * max(len(cases), 2), WIDTH_INCH)
    highest = max(float(np.quantile(_in_even_weights(each), SHOWN_SHARE)) for each in cases)
    with rc_context(STYLE):
        figure = Picture(figsize=(width, HEIGHT_INCH), layout="constrained")
        panels = figure.subplots(
            2, len(cases), sharex="col", sharey="row", squeeze=False, height_ratios=(1.1, 1.9)
        )
        ecg_unit, unit = ecg_scale([each.case for each in cases])
        for (ecg, map_), attention in zip(panels.T, cases, strict=True):
            _draw_ecgs(ecg, attention, ecg_unit)
            image = _draw_weights(map_, attention, highest)
            map_.set_xlabel("ECG sample written (ms)")
        panels[0, 0].set_ylabel(ecg_label(len(cases[0].predicted), unit))
        panels[1, 0].set_ylabel("frame looked at (ms)")
        scale = figure.colorbar(image, ax=panels[1], extend="max", pad=0.02, aspect=16)
        scale.set_label("weight (1 = all frames alike)")
        figure.supxlabel("White line: the frame of the sample itself.", fontsize=7)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _in_even_weights(attention: Attention) -> Float[np.ndarray, "sample frame"]:
    """The weights in units of what each frame would have if all were looked at alike."""
    return attention.weights * attention.weights.shape[1]


def _draw_ecgs(panel: Axes, attention: Attention, scale: float) -> None:
    case = attention.case
    true, predicted = case.phi_e_mm_per_ms / scale, attention.predicted / scale
    draw_ecg(panel, case.time_ms, true, predicted)
    r2 = r2_of(attention.predicted, case)
    panel.set_title(f"{words(case.condition)}, no. {case.case_id}\n$R^2$ = {r2:.3f}")


def _draw_weights(panel: Axes, attention: Attention, highest: float) -> AxesImage:
    step_ms = attention.case.maps.frame_interval_ms
    first_ms, last_ms = -step_ms / 2, attention.case.time_ms[-1] + step_ms / 2
    image = panel.imshow(
        _in_even_weights(attention).T,
        cmap=COLOURS,
        vmin=0.0,
        vmax=highest,
        origin="lower",
        aspect="auto",
        extent=(first_ms, last_ms, first_ms, last_ms),
        interpolation="nearest",
    )
    ends = attention.case.time_ms[[0, -1]]
    panel.plot(ends, ends, color="white", linewidth=0.8, linestyle=(0, (4, 3)))
    return image
