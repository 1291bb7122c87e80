"""A picture of one case: its tissue, the wave through it, and the ECG that comes of it."""

from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from fwdecg.evaluation.figures import STYLE, WIDTH_INCH, Trace, draw_ecg, ecg_label, words
from fwdecg.physics.markers import activation_times_ms
from fwdecg.shapes import Field, Frames

MAPS = 5  # voltage maps in a picture
LEAST_EXCITED = 0.1  # a frame of less than this share of the largest mean voltage counts as rest
LEAST_SHARE = 1e-3  # of a pixel's area; where less conducts, float16 cannot tell its voltage
NOT_CONDUCTING = "0.65"  # grey level
USUAL_DIFFUSIVITY = 0.1  # mm^2/ms, end of the colour scale unless a case exceeds it


@dataclass(frozen=True, kw_only=True)
class CasePicture:
    """What a picture shows.

    Attributes:
        trace: true and predicted ECG.
        u: voltage maps, dimensionless.
        diffusivity_mm2_per_ms: area mean of D per pixel, 0 where nothing conducts.
        conducting_share: of each pixel's area.
        map_spacing_mm: side of a pixel.
    """

    trace: Trace
    u: Frames
    diffusivity_mm2_per_ms: Field
    conducting_share: Field
    map_spacing_mm: float


def draw_case(picture: CasePicture, path: Path) -> None:
    """Write D, activation times and ECG of a case above a row of its voltage maps."""
    trace, shown = picture.trace, frames_shown(picture.u)
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_INCH, 3.7), layout="constrained")
        figure.suptitle(
            f"{words(trace.condition)}, case no. {trace.case_id}; grey does not conduct", fontsize=9
        )
        upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.15, 1)).flat
        tissue, activation, ecg = upper.subplots(1, 3, width_ratios=(1.25, 1.25, 2))
        _draw_tissue(tissue, picture)
        _draw_activation(activation, picture)
        _draw_ecg_with_frames(ecg, trace, shown)
        panels = lower.subplots(1, len(shown))
        for letter, frame, panel in zip(
            ascii_lowercase, shown, np.atleast_1d(panels), strict=False
        ):
            image = _draw_field(panel, picture.u[frame], picture, ("magma", 0.0, 1.0))
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


def _draw_tissue(panel: Axes, picture: CasePicture) -> None:
    diffusivity = picture.diffusivity_mm2_per_ms
    highest = max(float(diffusivity.max()), USUAL_DIFFUSIVITY)
    image = _draw_field(panel, diffusivity, picture, ("Blues", 0.0, highest))
    panel.set(xlabel="x (mm)", ylabel="y (mm)", title="D (mm$^2$/ms)")
    _add_scale(panel, image)


def _draw_activation(panel: Axes, picture: CasePicture) -> None:
    # At the rim of a patch the map is a mean over tissue that conducts and some that stays at rest.
    voltage = picture.u / np.maximum(picture.conducting_share, LEAST_SHARE)
    interval_ms = float(picture.trace.time_ms[1] - picture.trace.time_ms[0])
    times = activation_times_ms(voltage, interval_ms)
    latest = float(np.nanmax(times)) if np.isfinite(times).any() else interval_ms
    image = _draw_field(panel, times, picture, ("viridis", 0.0, latest))
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
    panel.set(xlabel="time (ms)", ylabel=ecg_label(trace))
    panel.legend(loc="best", title=f"$R^2$ = {trace.r2:.3f}")


def _draw_field(
    panel: Axes,
    field: Float[np.ndarray, "row col"],
    picture: CasePicture,
    colours: tuple[str, float, float],
) -> AxesImage:
    name, lowest, highest = colours
    blank = (picture.conducting_share < LEAST_SHARE) | ~np.isfinite(field)
    height_mm, width_mm = np.array(field.shape) * picture.map_spacing_mm
    return panel.imshow(
        np.ma.masked_array(field.astype(np.float64), blank),
        cmap=colormaps[name].with_extremes(bad=NOT_CONDUCTING),
        vmin=lowest,
        vmax=highest,
        extent=(0, width_mm, height_mm, 0),
        interpolation="nearest",
    )


def _add_scale(panel: Axes, image: AxesImage) -> None:
    panel.figure.colorbar(image, ax=panel, pad=0.03, aspect=14)
