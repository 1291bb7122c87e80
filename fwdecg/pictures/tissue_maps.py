"""What a case's maps show of its tissue: D, activation times and voltage, drawn over the sheet.

Grey does not conduct; tissue that never activates is left white.
"""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.image import AxesImage

from fwdecg.cases.recorded_case import TissueMaps
from fwdecg.shapes import Field

NOT_CONDUCTING, NOT_ACTIVATED = "0.65", "white"
USUAL_DIFFUSIVITY = 0.1  # mm^2/ms, end of the colour scale unless a case exceeds it
NEVER_MS = -1.0  # stands for NaN, below every colour scale of times


def highest_diffusivity(*cases: TissueMaps) -> float:
    """End of a colour scale of D in mm^2/ms that suits some cases."""
    return max(USUAL_DIFFUSIVITY, *(float(maps.diffusivity_mm2_per_ms.max()) for maps in cases))


def draw_diffusivity(panel: Axes, maps: TissueMaps, highest: float) -> AxesImage:
    """Add the map of D to a panel, its scale from 0 to a highest value in mm^2/ms."""
    colours = colormaps["Blues"]
    return _draw_field(panel, maps.diffusivity_mm2_per_ms, maps, colours=colours, highest=highest)


def draw_activation(panel: Axes, maps: TissueMaps, latest_ms: float) -> AxesImage:
    """Add the map of activation times to a panel, its scale from 0 to a latest time."""
    times = np.nan_to_num(maps.activation_ms, nan=NEVER_MS)
    colours = colormaps["viridis"].with_extremes(under=NOT_ACTIVATED)
    return _draw_field(panel, times, maps, colours=colours, highest=latest_ms)


def draw_isochrones(panel: Axes, maps: TissueMaps, step_ms: float) -> None:
    """Add the lines at which the front stands after 1, 2, ... steps."""
    times = np.ma.masked_invalid(maps.activation_ms)
    levels = np.arange(step_ms, maps.latest_activation_ms, step_ms)
    levels = levels[levels > times.min()] if times.count() else levels[:0]
    if levels.size:
        y_mm, x_mm = ((np.arange(side) + 0.5) * maps.map_spacing_mm for side in times.shape)
        panel.contour(x_mm, y_mm, times, levels=levels, colors="white", linewidths=0.5)


def draw_voltage(panel: Axes, maps: TissueMaps, frame: int) -> AxesImage:
    """Add the voltage map of one frame to a panel, its scale from 0 to 1."""
    return _draw_field(panel, maps.u[frame], maps, colours=colormaps["magma"], highest=1.0)


def _draw_field(
    panel: Axes, field: Field, maps: TissueMaps, *, colours: Colormap, highest: float
) -> AxesImage:
    height_mm, width_mm = np.array(field.shape) * maps.map_spacing_mm
    return panel.imshow(
        maps.over_tissue(field),
        cmap=colours.with_extremes(bad=NOT_CONDUCTING),
        vmin=0.0,
        vmax=highest,
        extent=(0, width_mm, height_mm, 0),
        interpolation="nearest",
    )
