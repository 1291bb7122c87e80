"""A picture of one case: its tissue, the wave that crosses it, and the resulting ECG."""

from string import ascii_lowercase

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.errors import MapsError
from fwdecg.pictures.panels import (
    Ecg,
    add_activation,
    add_diffusivity,
    add_ecg,
    add_voltage,
    diffusivity_limit,
    ecg_label,
    ecg_r2,
    ecg_scale,
)
from fwdecg.pictures.style import STYLE, WIDTH_INCH, Picture
from fwdecg.shapes import Frames, Numbers, number_array

MAPS = 5  # voltage maps in a picture
LEAST_EXCITED = 0.1  # frames below this fraction of the largest mean voltage count as rest
ECG_COLUMNS, ECG_ROW_INCH = 4, 1.1  # of a picture of all electrodes
LEGEND_HEIGHT = 0.2  # space above the ECG, relative to its height


def plot_case(
    case: RecordedCase, predicted: Numbers | None = None, *, electrode: int = 0
) -> Picture:
    """Plot D, activation times and ECG of a case above a row of its voltage maps.

    Args:
        case: a case that was simulated or loaded from a library.
        predicted: predicted ECG (electrode, frame) in mm/ms, drawn over the true one. R^2 in the
            title averages over all electrodes.
        electrode: number of the electrode whose ECG is shown, from 0.

    Raises:
        MapsError: the prediction and the case's ECG have different shapes.
        CaseError: there is no such electrode.
    """
    predicted = _predicted_ecg(predicted, case)
    case.require_electrode(electrode)
    shown = excited_frames(case.u)
    with rc_context(STYLE):
        figure = Picture(figsize=(WIDTH_INCH, 3.7), layout="constrained")
        figure.suptitle(_heading(case, predicted), fontsize=9)
        upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.15, 1)).flat
        tissue, activation, ecg = upper.subplots(1, 3, width_ratios=(1.25, 1.25, 2))
        image = add_diffusivity(tissue, case, diffusivity_limit([case]))
        tissue.set(xlabel="x (mm)", ylabel="y (mm)", title="D (mm$^2$/ms)")
        upper.colorbar(image, ax=tissue, pad=0.03, aspect=14)
        image = add_activation(activation, case, case.latest_activation_ms)
        activation.set(xlabel="x (mm)", yticks=[], title="activation time (ms)")
        upper.colorbar(image, ax=activation, pad=0.03, aspect=14)
        _fill_ecg(ecg, case, predicted, electrode)
        _mark_frames(ecg, [case.time_ms[frame] for frame in shown])
        panels = lower.subplots(1, len(shown))
        for letter, frame, panel in zip(
            ascii_lowercase, shown, np.atleast_1d(panels), strict=False
        ):
            image = add_voltage(panel, case, frame)
            panel.set_title(f"{letter}   {case.time_ms[frame]:g} ms")
            panel.set_axis_off()
        lower.colorbar(image, ax=panels, label="voltage u", shrink=0.8, pad=0.01)
    return figure


def plot_ecgs(case: RecordedCase, predicted: Numbers | None = None) -> Picture:
    """Plot the ECGs of all electrodes of a case, one panel for each, on a common scale.

    Args:
        case: a case that was simulated or loaded from a library.
        predicted: predicted ECG (electrode, frame) in mm/ms, drawn over the true one.

    Raises:
        MapsError: the prediction and the case's ECG have different shapes.
    """
    predicted = _predicted_ecg(predicted, case)
    true, count = case.phi_e_mm_per_ms, len(case.electrodes_mm)
    largest = int(np.abs(true).max(axis=1).argmax())
    scale, unit = ecg_scale([case], largest)
    columns = min(count, ECG_COLUMNS)
    rows = -(-count // columns)
    with rc_context(STYLE):
        size = (WIDTH_INCH, 0.8 + ECG_ROW_INCH * rows)
        figure = Picture(figsize=size, layout="constrained")
        figure.suptitle(_heading(case, predicted, maps=False), fontsize=9)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for electrode, panel in enumerate(panels[:count]):
            scaled = None if predicted is None else predicted / scale
            add_ecg(panel, case.time_ms, true / scale, scaled, electrode)
            position = ", ".join(f"{each:g}" for each in case.electrodes_mm[electrode])
            panel.set_title(f"electrode {electrode}: {position} mm", fontsize=7)
        for panel in panels[count:]:
            panel.set_axis_off()
        figure.supxlabel("time (ms)", fontsize=8)
        figure.supylabel(f"ECG ({unit})", fontsize=8)
        if predicted is not None:
            figure.add_legend(panels[0])
    return figure


def excited_frames(u: Frames) -> list[int]:
    """Return the numbers of up to `MAPS` frames, spaced evenly over the time of excitation."""
    mean = u.mean(axis=(1, 2), dtype=np.float64)
    excited = np.flatnonzero(mean >= LEAST_EXCITED * mean.max())  # all frames if none is excited
    first, last = excited[0], excited[-1]
    return sorted(set(np.linspace(first, last, MAPS).round().astype(int).tolist()))


def _predicted_ecg(predicted: Numbers | None, case: RecordedCase) -> Ecg | None:
    """Return a prediction as an array, after checking its shape."""
    if predicted is None:
        return None
    predicted, shape = number_array(predicted, "predicted", MapsError), case.phi_e_mm_per_ms.shape
    if predicted.shape != shape:
        raise MapsError(
            f"predicted has shape {predicted.shape}: must be (electrode, frame) = {shape}; "
            "predict(u) returns one such ECG for each case, so pass predict(u)[0] for the first"
        )
    return predicted


def _heading(case: RecordedCase, predicted: Ecg | None, *, maps: bool = True) -> str:
    score = "" if predicted is None else f", $R^2$ = {ecg_r2(predicted, case.phi_e_mm_per_ms):.3f}"
    colours = "; grey does not conduct, white never activates" if maps else ""
    return f"{case.title}{score}{colours}"


def _fill_ecg(panel: Axes, case: RecordedCase, predicted: Ecg | None, electrode: int) -> None:
    (scale, unit), true = ecg_scale([case], electrode), case.phi_e_mm_per_ms
    panel.set(xlabel="time (ms)", ylabel=ecg_label(len(true), unit, electrode))
    if predicted is None:
        add_ecg(panel, case.time_ms, true / scale, electrode=electrode)
        return
    add_ecg(panel, case.time_ms, true / scale, predicted / scale, electrode)
    # In a subfigure `loc="best"` does not find a free place, so reserve one above the ECG.
    low, high = panel.get_ylim()
    panel.set_ylim(low, high + LEGEND_HEIGHT * (high - low))
    panel.legend(loc="upper right", ncols=2, borderaxespad=0.2)


def _mark_frames(panel: Axes, times_ms: list[float]) -> None:
    """Mark the times of the voltage maps with lines and letters."""
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
