"""A contact sheet of a library: some cases by condition, one a row, from tissue to ECG."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from fwdecg.cases.recorded_case import RecordedCase, TissueMaps
from fwdecg.pictures.ecg_panel import ecg_scale
from fwdecg.pictures.style import STYLE, WIDTH_INCH, ecg_label, words
from fwdecg.pictures.tissue_maps import (
    draw_activation,
    draw_diffusivity,
    draw_isochrones,
    draw_voltage,
    highest_diffusivity,
)

ROW_INCH, REST_INCH = 0.85, 1.0  # a row's height; headings, scales and labels
COLUMN_WIDTHS = (0.95, 0.8, 0.8, 0.8, 0.8, 2.6)
ACTIVATED_SHARES = (0.35, 0.8)  # of the tissue that ever activates, at the instants shown
MOST_ISOCHRONES = 30  # in a map
ISOCHRONE_STEPS_MS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
SMALL = 6.5  # points


def draw_contact_sheet(cases: Sequence[RecordedCase]) -> Figure:
    """D, activation times, voltage at two instants and ECG of each case; maps share their scales.

    Args:
        cases: at least one, those of a condition beside each other.
    """
    height = REST_INCH + ROW_INCH * len(cases)
    latest_ms = max(case.maps.latest_activation_ms for case in cases)
    step_ms = isochrone_step_ms(latest_ms)
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_INCH, height))
        figure.set_layout_engine("constrained", h_pad=0.015, w_pad=0.02, hspace=0, wspace=0)
        figure.supxlabel(
            "Grey does not conduct, white never activates. White lines: isochrones, one every "
            f"{step_ms:g} ms. Grey lines: times of the voltage maps.",
            fontsize=SMALL,
        )
        panels = figure.subplots(
            len(cases), len(COLUMN_WIDTHS), squeeze=False, width_ratios=COLUMN_WIDTHS, sharex="col"
        )
        _describe(panels[:, 0], cases)
        _draw_tissue(panels[:, 1], cases)
        _draw_activation(panels[:, 2], cases, latest_ms=latest_ms, step_ms=step_ms)
        _draw_instants(panels[:, 3:5], cases)
        _draw_ecgs(panels[:, 5], cases)
    return figure


def instants(maps: TissueMaps) -> list[int]:
    """The frames by which a smaller and a larger share of the tissue has activated.

    Where nothing activates they are a third and two thirds through the record.
    """
    times, last = maps.activation_ms, len(maps.u) - 1
    if np.isnan(times).all():
        return [last // 3, 2 * last // 3]
    frames = np.nanquantile(times, ACTIVATED_SHARES) / maps.frame_interval_ms
    return np.minimum(np.ceil(frames), last).astype(int).tolist()


def isochrone_step_ms(latest_ms: float) -> float:
    """The smallest round step that gives few enough isochrones until the latest activation."""
    for step_ms in ISOCHRONE_STEPS_MS:
        if latest_ms <= MOST_ISOCHRONES * step_ms:
            return step_ms
    return latest_ms / MOST_ISOCHRONES


def _describe(panels: np.ndarray, cases: Sequence[RecordedCase]) -> None:
    above = None
    for panel, case in zip(panels, cases, strict=True):
        patches = 1 - float(case.maps.conducting_share.mean())
        panel.set_axis_off()
        if case.condition != above:
            panel.text(0, 0.95, words(case.condition), va="top", fontweight="bold")
        above = case.condition
        panel.text(
            0,
            0.6,
            f"case no. {case.case_id}\nD = {case.bulk_diffusivity_mm2_per_ms:.3f}\n"
            f"patches {patches:.0%}",
            va="top",
            fontsize=SMALL,
        )


def _draw_tissue(panels: np.ndarray, cases: Sequence[RecordedCase]) -> None:
    highest = highest_diffusivity(*(case.maps for case in cases))
    for panel, case in zip(panels, cases, strict=True):
        image = draw_diffusivity(panel, case.maps, highest)
    _finish_maps(panels, image, "D (mm$^2$/ms)")


def _draw_activation(
    panels: np.ndarray, cases: Sequence[RecordedCase], *, latest_ms: float, step_ms: float
) -> None:
    for panel, case in zip(panels, cases, strict=True):
        image = draw_activation(panel, case.maps, latest_ms)
        draw_isochrones(panel, case.maps, step_ms)
    _finish_maps(panels, image, "activation (ms)")


def _draw_instants(panels: np.ndarray, cases: Sequence[RecordedCase]) -> None:
    for row, case in zip(panels, cases, strict=True):
        for panel, frame in zip(row, instants(case.maps), strict=True):
            image = draw_voltage(panel, case.maps, frame)
            panel.set_title(f"{case.maps.time_ms[frame]:g} ms", fontsize=SMALL, pad=1.5)
    _finish_maps(panels, image, "voltage u")


def _finish_maps(panels: np.ndarray, image: AxesImage, label: str) -> None:
    for panel in panels.flat:
        panel.set_axis_off()
    aspect = 14 * panels.size // len(panels)
    figure = panels.flat[0].figure
    scale = figure.colorbar(image, ax=panels, location="top", pad=0.01, aspect=aspect, shrink=0.9)
    scale.set_label(label)
    scale.ax.xaxis.set_major_locator(MaxNLocator(2))
    scale.ax.tick_params(labelsize=SMALL)


def _draw_ecgs(panels: np.ndarray, cases: Sequence[RecordedCase]) -> None:
    scale, unit = ecg_scale(cases)
    for panel, case in zip(panels, cases, strict=True):
        panel.plot(case.maps.time_ms, case.phi_e_mm_per_ms[0] / scale, color="black", linewidth=1.0)
        for frame in instants(case.maps):
            panel.axvline(case.maps.time_ms[frame], color="0.6", linewidth=0.6, zorder=0)
        panel.margins(x=0)
        panel.yaxis.set_major_locator(MaxNLocator(3))
    panels[0].set_title(ecg_label(len(cases[0].phi_e_mm_per_ms), unit))
    panels[-1].set_xlabel("time (ms)")
