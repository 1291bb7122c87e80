"""Panels that several pictures share: maps of a tissue, and ECGs.

Maps cover the sheet in mm. Pixels that do not conduct are grey; tissue that never activates is
white. Each `add_*` function draws on an existing axes.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.image import AxesImage

from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.shapes import Field

NOT_CONDUCTING, NOT_ACTIVATED = "0.65", "white"
USUAL_DIFFUSIVITY = 0.1  # mm^2/ms, upper end of the colour scale unless a case exceeds it
NEVER_MS = -1.0  # replaces NaN in activation maps; lies below every colour scale of times
TRUE_COLOUR, PREDICTED_COLOUR = "black", "#d55e00"

Times = Float[np.ndarray, " frame"]
Ecg = Float[np.ndarray, "electrode frame"]


def diffusivity_limit(cases: Sequence[RecordedCase]) -> float:
    """Return the upper end of a colour scale of D for all cases, in mm^2/ms."""
    return max(USUAL_DIFFUSIVITY, *(float(case.diffusivity_mm2_per_ms.max()) for case in cases))


def add_diffusivity(panel: Axes, case: RecordedCase, limit: float) -> AxesImage:
    """Add the map of D with a colour scale from 0 to `limit` in mm^2/ms."""
    return _add_map(panel, case.diffusivity_mm2_per_ms, case, colours="Blues", limit=limit)


def add_activation(panel: Axes, case: RecordedCase, latest_ms: float) -> AxesImage:
    """Add the map of activation times with a colour scale from 0 to `latest_ms`."""
    times = np.nan_to_num(case.activation_ms, nan=NEVER_MS)
    colours = colormaps["viridis"].with_extremes(under=NOT_ACTIVATED)
    return _add_map(panel, times, case, colours=colours, limit=latest_ms)


def add_isochrones(panel: Axes, case: RecordedCase, step_ms: float) -> None:
    """Add the contour lines of the activation time at multiples of `step_ms`."""
    times = np.ma.masked_invalid(case.activation_ms)
    levels = np.arange(step_ms, case.latest_activation_ms, step_ms)
    levels = levels[levels > times.min()] if times.count() else levels[:0]
    if levels.size:
        y_mm, x_mm = ((np.arange(side) + 0.5) * case.map_spacing_mm for side in times.shape)
        panel.contour(x_mm, y_mm, times, levels=levels, colors="white", linewidths=0.5)


def add_voltage(panel: Axes, case: RecordedCase, frame: int) -> AxesImage:
    """Add the voltage map of one frame with a colour scale from 0 to 1."""
    return _add_map(panel, case.u[frame], case, colours="magma", limit=1.0)


def mask_patches(field: Field, case: RecordedCase) -> np.ma.MaskedArray:
    """Return a field with its non-conducting pixels masked."""
    return np.ma.masked_array(field.astype(np.float64), ~case.conducts)


def _add_map(
    panel: Axes, field: Field, case: RecordedCase, *, colours: str | Colormap, limit: float
) -> AxesImage:
    height_mm, width_mm = np.array(field.shape) * case.map_spacing_mm
    scale = colormaps[colours] if isinstance(colours, str) else colours
    return panel.imshow(
        mask_patches(field, case),
        cmap=scale.with_extremes(bad=NOT_CONDUCTING),
        vmin=0.0,
        vmax=limit,
        extent=(0, width_mm, height_mm, 0),
        interpolation="nearest",
    )


def add_ecg(
    panel: Axes, time_ms: Times, true: Ecg, predicted: Ecg | None = None, electrode: int = 0
) -> None:
    """Add the ECG of an electrode: the true one in black, a predicted one dashed."""
    panel.plot(time_ms, true[electrode], color=TRUE_COLOUR, linewidth=1.6, label="true")
    if predicted is not None:
        panel.plot(
            time_ms,
            predicted[electrode],
            color=PREDICTED_COLOUR,
            linewidth=1.2,
            linestyle=(0, (4, 2)),
            label="predicted",
        )
    panel.margins(x=0)


def ecg_scale(cases: Sequence[RecordedCase], electrode: int = 0) -> tuple[float, str]:
    """Return a common scale for the ECGs, a power of 1000 in mm/ms, and its unit label."""
    largest = max(float(np.abs(case.phi_e_mm_per_ms[electrode]).max()) for case in cases)
    power = 3 * math.floor(math.log10(largest) / 3) if largest > 0 else 0
    return 10.0**power, f"10$^{{{power}}}$ mm/ms" if power else "mm/ms"


def ecg_label(electrodes: int, unit: str, electrode: int = 0) -> str:
    """Return the axis label of an ECG panel, which shows one electrode."""
    which = "ECG" if electrodes == 1 else f"ECG, electrode {electrode}"
    return f"{which} ({unit})"


def ecg_r2(predicted: Ecg, true: Ecg) -> float:
    """Return R^2, averaged over the electrodes.

    At an electrode whose true ECG is constant, R^2 is 1 for an exact prediction and 0 otherwise.
    """
    truth = true.astype(np.float64)
    residual = np.square(predicted - truth).sum(axis=1)
    total = np.square(truth - truth.mean(axis=1, keepdims=True)).sum(axis=1)
    constant = np.ptp(truth, axis=1) == 0
    defined = 1.0 - residual / np.where(constant, 1.0, total)
    return float(np.where(constant, residual == 0, defined).mean())
