"""Attention maps: the weights of the decoder's attention (Eq. 2-3) for each ECG sample.

Axes: ECG sample that the decoder writes, frame that it attends to.
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
from fwdecg.pictures.panels import Ecg, add_ecg, ecg_label, ecg_r2, ecg_scale
from fwdecg.pictures.style import STYLE, WIDTH_INCH, Picture, words

if TYPE_CHECKING:
    from fwdecg.training.trained_surrogate import TrainedSurrogate

COLUMN_INCH, LEFT_INCH, HEIGHT_INCH = 1.75, 1.3, 3.9
COLOURS = "cividis"  # made for colour-blind readers, and monotonic in grey
SHOWN_QUANTILE = 0.995  # of the weights; larger weights exceed the colour scale


@dataclass(frozen=True, kw_only=True)
class AttendedCase:
    """A case with the prediction and the attention weights of a surrogate.

    Attributes:
        case: the case.
        predicted: predicted ECG in mm/ms.
        weights: weight of each frame at each sample; the weights of a sample sum to 1.
    """

    case: RecordedCase
    predicted: Ecg
    weights: Float32[np.ndarray, "sample frame"]


def attend(case: RecordedCase, surrogate: "TrainedSurrogate") -> AttendedCase:
    """Return the prediction and the attention weights of a surrogate for a case.

    Raises:
        MapsError: the maps of the case do not match those that the surrogate was trained on.
        CheckpointError: the surrogate has no attention.
    """
    return AttendedCase(
        case=case, predicted=surrogate.predict(case.u)[0], weights=surrogate.attend(case.u)[0]
    )


def plot_attention(case: RecordedCase, surrogate: "TrainedSurrogate") -> Picture:
    """Plot the ECG of a case above the attention weights of every frame at every ECG sample.

    Args:
        case: a case that was simulated or loaded from a library.
        surrogate: a surrogate with attention.

    Raises:
        MapsError: the maps of the case do not match those that the surrogate was trained on.
        CheckpointError: the surrogate has no attention.
    """
    return plot_attentions([attend(case, surrogate)])


def plot_attentions(cases: Sequence[AttendedCase]) -> Picture:
    """Plot one column for each case: its ECG above its attention weights.

    Args:
        cases: at least one case; all cases share the scales of weights and ECGs.
    """
    width = min(LEFT_INCH + COLUMN_INCH * max(len(cases), 2), WIDTH_INCH)
    limit = max(float(np.quantile(_relative_weights(each), SHOWN_QUANTILE)) for each in cases)
    with rc_context(STYLE):
        figure = Picture(figsize=(width, HEIGHT_INCH), layout="constrained")
        panels = figure.subplots(
            2, len(cases), sharex="col", sharey="row", squeeze=False, height_ratios=(1.1, 1.9)
        )
        scale, unit = ecg_scale([each.case for each in cases])
        for (ecg, weights), attended in zip(panels.T, cases, strict=True):
            _add_ecgs(ecg, attended, scale)
            image = _add_weights(weights, attended, limit)
            weights.set_xlabel("ECG sample written (ms)")
        panels[0, 0].set_ylabel(ecg_label(len(cases[0].predicted), unit))
        panels[1, 0].set_ylabel("frame looked at (ms)")
        colours = figure.colorbar(image, ax=panels[1], extend="max", pad=0.02, aspect=16)
        colours.set_label("weight (1 = uniform)")
        figure.supxlabel("White line: the frame at the time of the sample.", fontsize=7)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _relative_weights(attended: AttendedCase) -> Float[np.ndarray, "sample frame"]:
    """Return the weights relative to uniform attention, in which every frame weighs the same."""
    return attended.weights * attended.weights.shape[1]


def _add_ecgs(panel: Axes, attended: AttendedCase, scale: float) -> None:
    case, predicted = attended.case, attended.predicted
    add_ecg(panel, case.time_ms, case.phi_e_mm_per_ms / scale, predicted / scale)
    r2 = ecg_r2(predicted, case.phi_e_mm_per_ms)
    panel.set_title(f"{words(case.condition)}, no. {case.case_id}\n$R^2$ = {r2:.3f}")


def _add_weights(panel: Axes, attended: AttendedCase, limit: float) -> AxesImage:
    case = attended.case
    half_step_ms = case.frame_interval_ms / 2
    first_ms, last_ms = -half_step_ms, case.time_ms[-1] + half_step_ms
    image = panel.imshow(
        _relative_weights(attended).T,
        cmap=COLOURS,
        vmin=0.0,
        vmax=limit,
        origin="lower",
        aspect="auto",
        extent=(first_ms, last_ms, first_ms, last_ms),
        interpolation="nearest",
    )
    ends = case.time_ms[[0, -1]]
    panel.plot(ends, ends, color="white", linewidth=0.8, linestyle=(0, (4, 3)))
    return image
