"""An animation of one case: the wave in its tissue above its ECG, which grows frame by frame."""

from collections.abc import Iterator
from pathlib import Path

from matplotlib import rc_context
from matplotlib.animation import PillowWriter
from matplotlib.figure import Figure

from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.pictures.panels import add_voltage, ecg_label, ecg_scale, mask_patches
from fwdecg.pictures.style import STYLE

SIZE_INCH = (3.8, 4.7)
DPI = 100
FRAMES_PER_SECOND = 20


def write_animation(case: RecordedCase, path: str | Path) -> None:
    """Write a GIF that loops forever and shows every frame of a case."""
    with rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCH, dpi=DPI, layout="constrained")
        writer = PillowWriter(fps=FRAMES_PER_SECOND)
        with writer.saving(figure, path, DPI):
            for _ in _draw_frames(figure, case):
                writer.grab_frame()


def _draw_frames(figure: Figure, case: RecordedCase) -> Iterator[int]:
    """Draw one frame after another into the figure and yield the number of each."""
    scale, unit = ecg_scale([case])
    time_ms, phi_e = case.time_ms, case.phi_e_mm_per_ms[0] / scale
    tissue, ecg = figure.subplots(2, 1, height_ratios=(2.6, 1))
    image = add_voltage(tissue, case, 0)
    tissue.set(xlabel="x (mm)", ylabel="y (mm)")
    tissue.set_title(case.title, loc="left")
    clock = tissue.set_title(f"{time_ms[-1]:g} ms", loc="right")
    figure.colorbar(image, ax=tissue, label="voltage u", pad=0.03)
    (trace,) = ecg.plot(time_ms, phi_e, color="black", linewidth=1.2)
    (tip,) = ecg.plot(time_ms[:1], phi_e[:1], "o", color="black", markersize=4, clip_on=False)
    ecg.margins(x=0)
    ecg.set(xlabel="time (ms)", ylabel=ecg_label(len(case.phi_e_mm_per_ms), unit))
    figure.draw_without_rendering()  # fixes the limits and the layout for all frames
    figure.set_layout_engine("none")
    for frame, time in enumerate(time_ms):
        image.set_data(mask_patches(case.u[frame], case))
        clock.set_text(f"{time:g} ms")
        trace.set_data(time_ms[: frame + 1], phi_e[: frame + 1])
        tip.set_data([time], [phi_e[frame]])
        yield frame
