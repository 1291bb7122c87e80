"""A picture of one case: its tissue, the wave through it, and the ECG that comes of it."""

from string import ascii_lowercase

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from fwdecg.cases.recorded_case import RecordedCase, TissueMaps
from fwdecg.errors import MapsError
from fwdecg.pictures.ecg_panel import Ecg, draw_ecg, ecg_scale
from fwdecg.pictures.style import STYLE, WIDTH_INCH, Picture, ecg_label, words
from fwdecg.pictures.tissue_maps import (
    draw_activation,
    draw_diffusivity,
    draw_voltage,
    highest_diffusivity,
)
from fwdecg.shapes import Frames

MAPS = 5  # voltage maps in a picture
LEAST_EXCITED = 0.1  # a frame of less than this share of the largest mean voltage counts as rest
LEGEND_SHARE = 0.2  # of the height of the ECG, above it


def plot_case(case: RecordedCase, predicted: np.ndarray | None = None) -> Picture:
    """D, activation times and ECG of a case above a row of its voltage maps.

    Args:
        case: simulated, or of a library.
        predicted: ECG (electrode, frame) of a surrogate in mm/ms, drawn over the case's own with
            its R^2; of several electrodes the first is drawn, while R^2 is of all.

    Raises:
        MapsError: the prediction has not the shape of the case's ECG.
    """
    _require_alike(predicted, case)
    shown = frames_shown(case.u)
    with rc_context(STYLE):
        figure = Picture(figsize=(WIDTH_INCH, 3.7), layout="constrained")
        score = "" if predicted is None else f", $R^2$ = {r2_of(predicted, case):.3f}"
        figure.suptitle(
            f"{words(case.condition)}, case no. {case.case_id}{score}; grey does not conduct, "
            "white never activates",
            fontsize=9,
        )
        upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.15, 1)).flat
        tissue, activation, ecg = upper.subplots(1, 3, width_ratios=(1.25, 1.25, 2))
        _draw_tissue(tissue, case.maps)
        _draw_activation(activation, case.maps)
        _draw_ecgs(ecg, case, predicted)
        _mark_frames(ecg, [case.time_ms[frame] for frame in shown])
        panels = lower.subplots(1, len(shown))
        for letter, frame, panel in zip(
            ascii_lowercase, shown, np.atleast_1d(panels), strict=False
        ):
            image = draw_voltage(panel, case.maps, frame)
            panel.set_title(f"{letter}   {case.time_ms[frame]:g} ms")
            panel.set_axis_off()
        lower.colorbar(image, ax=panels, label="voltage u", shrink=0.8, pad=0.01)
    return figure


def frames_shown(u: Frames) -> list[int]:
    """Numbers of up to `MAPS` frames, evenly spread over the time of excitation."""
    mean = u.mean(axis=(1, 2), dtype=np.float64)
    excited = np.flatnonzero(mean >= LEAST_EXCITED * mean.max())
    first, last = excited[0], excited[-1]
    return sorted(set(np.linspace(first, last, MAPS).round().astype(int).tolist()))


def r2_of(predicted: Ecg, case: RecordedCase) -> float:
    """R^2 of an ECG in mm/ms against a case's own; that of z-scores is the same."""
    import torch  # noqa: PLC0415  # a picture without a prediction does without

    from fwdecg.training.metrics import r2  # noqa: PLC0415

    pair = (torch.from_numpy(np.array(ecg)).mT[None] for ecg in (predicted, case.phi_e_mm_per_ms))
    return float(r2(*pair))


def _require_alike(predicted: np.ndarray | None, case: RecordedCase) -> None:
    shape = case.phi_e_mm_per_ms.shape
    if predicted is not None and predicted.shape != shape:
        raise MapsError(
            f"predicted has shape {predicted.shape}: must be (electrode, frame) = {shape}; "
            "predict(u) gives one such ECG for each case, predict(u)[0] is the first"
        )


def _draw_tissue(panel: Axes, maps: TissueMaps) -> None:
    image = draw_diffusivity(panel, maps, highest_diffusivity(maps))
    panel.set(xlabel="x (mm)", ylabel="y (mm)", title="D (mm$^2$/ms)")
    _add_scale(panel, image)


def _draw_activation(panel: Axes, maps: TissueMaps) -> None:
    image = draw_activation(panel, maps, maps.latest_activation_ms)
    panel.set(xlabel="x (mm)", yticks=[], title="activation time (ms)")
    _add_scale(panel, image)


def _draw_ecgs(panel: Axes, case: RecordedCase, predicted: Ecg | None) -> None:
    (scale, unit), true = ecg_scale([case]), case.phi_e_mm_per_ms
    panel.set(xlabel="time (ms)", ylabel=ecg_label(len(true), unit))
    if predicted is None:
        draw_ecg(panel, case.time_ms, true / scale)
        return
    draw_ecg(panel, case.time_ms, true / scale, predicted / scale)
    # `loc="best"` does not find a free place in a subfigure.
    low, high = panel.get_ylim()
    panel.set_ylim(low, high + LEGEND_SHARE * (high - low))
    panel.legend(loc="upper right", ncols=2, borderaxespad=0.2)


def _mark_frames(panel: Axes, times_ms: list[float]) -> None:
    """Letters and lines at the times of the voltage maps."""
    panel.xaxis.set_major_locator(MaxNLocator(5))
    for letter, time_ms in zip(ascii_lowercase, times_ms, strict=False):
        panel.axvline(time_ms, color="0.6", linewidth=0.6, zorder=0)
        panel.annotate(
            letter,
            (time_ms, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 1),
            textcoords="offset points",
            ha="center",
            color="0.35",
        )


def _add_scale(panel: Axes, image: AxesImage) -> None:
    panel.figure.colorbar(image, ax=panel, pad=0.03, aspect=14)
