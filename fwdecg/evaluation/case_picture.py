"""A picture of one case: its tissue, the wave through it, and the ECG that comes of it."""

from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from fwdecg.evaluation.figures import Z_SCORE, Trace, draw_ecg
from fwdecg.evaluation.style import STYLE, WIDTH_INCH, ecg_label, words
from fwdecg.evaluation.tissue_maps import (
    TissueMaps,
    draw_activation,
    draw_diffusivity,
    draw_voltage,
    highest_diffusivity,
)
from fwdecg.shapes import Frames

MAPS = 5  # voltage maps in a picture
LEAST_EXCITED = 0.1  # a frame of less than this share of the largest mean voltage counts as rest


@dataclass(frozen=True, kw_only=True)
class CasePicture:
    """What a picture shows.

    Attributes:
        trace: true and predicted ECG.
        maps: of its tissue and voltage.
    """

    trace: Trace
    maps: TissueMaps


def draw_case(picture: CasePicture, path: Path) -> None:
    """Write D, activation times and ECG of a case above a row of its voltage maps."""
    trace, maps = picture.trace, picture.maps
    shown = frames_shown(maps.u)
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_INCH, 3.7), layout="constrained")
        figure.suptitle(
            f"{words(trace.condition)}, case no. {trace.case_id}; grey does not conduct, "
            "white never activates",
            fontsize=9,
        )
        upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.15, 1)).flat
        tissue, activation, ecg = upper.subplots(1, 3, width_ratios=(1.25, 1.25, 2))
        _draw_tissue(tissue, maps)
        _draw_activation(activation, maps)
        _draw_ecg_with_frames(ecg, trace, shown)
        panels = lower.subplots(1, len(shown))
        for letter, frame, panel in zip(
            ascii_lowercase, shown, np.atleast_1d(panels), strict=False
        ):
            image = draw_voltage(panel, maps, frame)
            panel.set_title(f"{letter}   {trace.time_ms[frame]:g} ms")
            panel.set_axis_off()
        lower.colorbar(image, ax=panels, label="voltage u", shrink=0.8, pad=0.01)
        figure.savefig(path)


def frames_shown(u: Frames) -> list[int]:
    """Numbers of up to `MAPS` frames, evenly spread over the time of excitation."""
    mean = u.mean(axis=(1, 2), dtype=np.float64)
    excited = np.flatnonzero(mean >= LEAST_EXCITED * mean.max())
    first, last = excited[0], excited[-1]
    return sorted(set(np.linspace(first, last, MAPS).round().astype(int).tolist()))


def _draw_tissue(panel: Axes, maps: TissueMaps) -> None:
    image = draw_diffusivity(panel, maps, highest_diffusivity(maps))
    panel.set(xlabel="x (mm)", ylabel="y (mm)", title="D (mm$^2$/ms)")
    _add_scale(panel, image)


def _draw_activation(panel: Axes, maps: TissueMaps) -> None:
    image = draw_activation(panel, maps, maps.latest_activation_ms)
    panel.set(xlabel="x (mm)", yticks=[], title="activation time (ms)")
    _add_scale(panel, image)


def _draw_ecg_with_frames(panel: Axes, trace: Trace, shown: list[int]) -> None:
    draw_ecg(panel, trace)
    for letter, frame in zip(ascii_lowercase, shown, strict=False):
        panel.axvline(trace.time_ms[frame], color="0.6", linewidth=0.6, zorder=0)
        panel.annotate(
            letter,
            (trace.time_ms[frame], 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 1),
            textcoords="offset points",
            ha="center",
            color="0.35",
        )
    panel.set(xlabel="time (ms)", ylabel=ecg_label(len(trace.true), Z_SCORE))
    panel.legend(loc="best", title=f"$R^2$ = {trace.r2:.3f}")


def _add_scale(panel: Axes, image: AxesImage) -> None:
    panel.figure.colorbar(image, ax=panel, pad=0.03, aspect=14)
