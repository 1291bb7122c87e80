"""A contact sheet of a library: one row for each case, from its tissue to its ECG."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.pictures.panels import (
    add_activation,
    add_diffusivity,
    add_isochrones,
    add_voltage,
    diffusivity_limit,
    ecg_label,
    ecg_scale,
)
from fwdecg.pictures.style import STYLE, WIDTH_INCH, Picture, words

ROW_INCH, REST_INCH = 0.85, 1.0  # height of a row; height of headings, colour bars and labels
COLUMN_WIDTHS = (0.95, 0.8, 0.8, 0.8, 0.8, 2.6)
# The two voltage maps show when these fractions of the tissue that ever activates have activated.
ACTIVATED_FRACTIONS = (0.35, 0.8)
MOST_ISOCHRONES = 30  # largest number in a map
ISOCHRONE_STEPS_MS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
SMALL = 6.5  # font size in points


def plot_contact_sheet(cases: Sequence[RecordedCase]) -> Picture:
    """Plot D, activation times, two voltage maps and the ECG of each case on common colour scales.

    Args:
        cases: at least one case; cases of the same condition must be consecutive.
    """
    latest_ms = max(case.latest_activation_ms for case in cases)
    step_ms = isochrone_step_ms(latest_ms)
    with rc_context(STYLE):
        figure = Picture(figsize=(WIDTH_INCH, REST_INCH + ROW_INCH * len(cases)))
        figure.set_layout_engine("constrained", h_pad=0.015, w_pad=0.02, hspace=0, wspace=0)
        figure.supxlabel(
            "Grey does not conduct, white never activates. White lines: isochrones, one every "
            f"{step_ms:g} ms. Grey lines: times of the voltage maps.",
            fontsize=SMALL,
        )
        panels = figure.subplots(
            len(cases), len(COLUMN_WIDTHS), squeeze=False, width_ratios=COLUMN_WIDTHS, sharex="col"
        )
        _fill_descriptions(panels[:, 0], cases)
        _fill_maps(panels[:, 1:5], cases, latest_ms=latest_ms, step_ms=step_ms)
        _fill_ecgs(panels[:, 5], cases)
    return figure


def shown_frames(case: RecordedCase) -> list[int]:
    """Return the frames by which each of `ACTIVATED_FRACTIONS` of the tissue has activated.

    If nothing activates, the frames lie at one third and two thirds of the recording.
    """
    times, last = case.activation_ms, len(case.u) - 1
    if np.isnan(times).all():
        return [last // 3, 2 * last // 3]
    frames = np.nanquantile(times, ACTIVATED_FRACTIONS) / case.frame_interval_ms
    return np.minimum(np.ceil(frames), last).astype(int).tolist()


def isochrone_step_ms(latest_ms: float) -> float:
    """Return the smallest round step with at most `MOST_ISOCHRONES` lines up to `latest_ms`."""
    least_ms = latest_ms / MOST_ISOCHRONES
    return next((step_ms for step_ms in ISOCHRONE_STEPS_MS if step_ms >= least_ms), least_ms)


def _fill_descriptions(panels: np.ndarray, cases: Sequence[RecordedCase]) -> None:
    previous = None
    for panel, case in zip(panels, cases, strict=True):
        patches = 1 - float(case.conducting_fraction.mean())
        panel.set_axis_off()
        if case.condition != previous:
            panel.text(0, 0.95, words(case.condition), va="top", fontweight="bold")
        previous = case.condition
        panel.text(
            0,
            0.6,
            f"case no. {case.case_id}\nD = {case.bulk_diffusivity_mm2_per_ms:.3f}\n"
            f"patches {patches:.0%}",
            va="top",
            fontsize=SMALL,
        )


def _fill_maps(
    panels: np.ndarray, cases: Sequence[RecordedCase], *, latest_ms: float, step_ms: float
) -> None:
    """Add the maps of D and of the activation times, and two voltage maps, of each case."""
    limit = diffusivity_limit(cases)
    for (tissue, activation, *voltage), case in zip(panels, cases, strict=True):
        diffusivity = add_diffusivity(tissue, case, limit)
        times = add_activation(activation, case, latest_ms)
        add_isochrones(activation, case, step_ms)
        for panel, frame in zip(voltage, shown_frames(case), strict=True):
            u = add_voltage(panel, case, frame)
            panel.set_title(f"{case.time_ms[frame]:g} ms", fontsize=SMALL, pad=1.5)
    _finish_maps(panels[:, :1], diffusivity, "D (mm$^2$/ms)")
    _finish_maps(panels[:, 1:2], times, "activation (ms)")
    _finish_maps(panels[:, 2:], u, "voltage u")


def _finish_maps(panels: np.ndarray, image: AxesImage, label: str) -> None:
    """Hide the axes of the maps of one quantity and add their colour bar."""
    for panel in panels.flat:
        panel.set_axis_off()
    aspect = 14 * panels.size // len(panels)
    figure = panels.flat[0].figure
    scale = figure.colorbar(image, ax=panels, location="top", pad=0.01, aspect=aspect, shrink=0.9)
    scale.set_label(label)
    scale.ax.xaxis.set_major_locator(MaxNLocator(2))
    scale.ax.tick_params(labelsize=SMALL)


def _fill_ecgs(panels: np.ndarray, cases: Sequence[RecordedCase]) -> None:
    scale, unit = ecg_scale(cases)
    for panel, case in zip(panels, cases, strict=True):
        panel.plot(case.time_ms, case.phi_e_mm_per_ms[0] / scale, color="black", linewidth=1.0)
        for frame in shown_frames(case):
            panel.axvline(case.time_ms[frame], color="0.6", linewidth=0.6, zorder=0)
        panel.margins(x=0)
        panel.yaxis.set_major_locator(MaxNLocator(3))
    panels[0].set_title(ecg_label(len(cases[0].phi_e_mm_per_ms), unit))
    panels[-1].set_xlabel("time (ms)")
