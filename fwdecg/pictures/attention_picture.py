"""Attention maps: the weights of the decoder's attention (Eq. 2-3) for each ECG sample.

Axes: sample (ECG sample that the decoder writes), frame (voltage map that it attends to).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.pictures.panels import add_ecg, ecg_label, ecg_r2, ecg_scale
from fwdecg.pictures.style import STYLE, WIDTH_INCH, Picture

if TYPE_CHECKING:
    from fwdecg.training.trained_surrogate import TrainedSurrogate

COLUMN_INCH, LEFT_INCH, HEIGHT_INCH = 1.75, 1.3, 3.9
COLOURS = "cividis"  # colour-blind safe, and monotonic in grey
SHOWN_QUANTILE = 0.995  # quantile of the weights at which the colour scale ends


def plot_attention(case: RecordedCase, surrogate: "TrainedSurrogate") -> Picture:
    """Plot the ECG of a case above the attention weights of every frame at every ECG sample.

    Args:
        case: a case that was simulated or loaded from a library.
        surrogate: a surrogate with attention.

    Raises:
        MapsError: the surrogate was trained on maps of another shape.
        CheckpointError: the surrogate has no attention.
    """
    return plot_attentions([case], surrogate)


def plot_attentions(cases: Sequence[RecordedCase], surrogate: "TrainedSurrogate") -> Picture:
    """Plot one column for each case: its ECG above its attention weights.

    Args:
        cases: at least one case; all cases share the scales of weights and ECGs.
        surrogate: a surrogate with attention.

    Raises:
        MapsError: the surrogate was trained on maps of another shape.
        CheckpointError: the surrogate has no attention.
    """
    # Relative to uniform attention, in which every frame has the same weight.
    relative = [surrogate.attend(case)[0] * len(case.u) for case in cases]
    limit = max(float(np.quantile(weights, SHOWN_QUANTILE)) for weights in relative)
    width = min(LEFT_INCH + COLUMN_INCH * max(len(cases), 2), WIDTH_INCH)
    with rc_context(STYLE):
        figure = Picture(figsize=(width, HEIGHT_INCH), layout="constrained")
        panels = figure.subplots(
            2, len(cases), sharex="col", sharey="row", squeeze=False, height_ratios=(1.1, 1.9)
        )
        scale, unit = ecg_scale(cases)
        for (ecg, attention), case, weights in zip(panels.T, cases, relative, strict=True):
            true, predicted = case.phi_e_mm_per_ms, surrogate.predict(case)[0]
            add_ecg(ecg, case.time_ms, true / scale, predicted / scale)
            r2 = ecg_r2(predicted, true)
            ecg.set_title(f"{case.title}\n$R^2$ = {r2:.3f}")
            image = _add_weights(attention, weights, case, limit)
            attention.set_xlabel("ECG sample written (ms)")
        panels[0, 0].set_ylabel(ecg_label(len(cases[0].phi_e_mm_per_ms), unit))
        panels[1, 0].set_ylabel("frame looked at (ms)")
        colours = figure.colorbar(image, ax=panels[1], extend="max", pad=0.02, aspect=16)
        colours.set_label("weight (1 = uniform)")
        figure.supxlabel("White line: the frame at the time of the sample.", fontsize=7)
        figure.add_legend(panels[0, 0])
    return figure


def _add_weights(
    panel: Axes, weights: Float[np.ndarray, "sample frame"], case: RecordedCase, limit: float
) -> AxesImage:
    half_step_ms = case.frame_interval_ms / 2
    first_ms, last_ms = -half_step_ms, case.time_ms[-1] + half_step_ms
    image = panel.imshow(
        weights.T,
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
