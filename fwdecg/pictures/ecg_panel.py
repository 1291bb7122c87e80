"""A panel with the ECG of a case, and over it a predicted one (Fig. 2 of the paper)."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.pictures.style import PREDICTED, TRUE

Times = Float[np.ndarray, " frame"]
Ecg = Float[np.ndarray, "electrode frame"]


def draw_ecg(panel: Axes, time_ms: Times, true: Ecg, predicted: Ecg | None = None) -> None:
    """Add the true (black) and any predicted ECG (dashed) of the first electrode to a panel."""
    panel.plot(time_ms, true[0], color=TRUE, linewidth=1.6, label="true")
    if predicted is not None:
        panel.plot(
            time_ms,
            predicted[0],
            color=PREDICTED,
            linewidth=1.2,
            linestyle=(0, (4, 2)),
            label="predicted",
        )
    panel.margins(x=0)


def ecg_scale(cases: Sequence[RecordedCase]) -> tuple[float, str]:
    """The power of 1000 in mm/ms in which the cases' ECGs are drawn, and its name as a unit."""
    largest = max(float(np.abs(case.phi_e_mm_per_ms[0]).max()) for case in cases)
    power = 3 * math.floor(math.log10(largest) / 3) if largest > 0 else 0
    return 10.0**power, f"10$^{{{power}}}$ mm/ms" if power else "mm/ms"
