"""A panel with the ECG of a case, and over it a predicted one (Fig. 2 of the paper)."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from fwdecg.evaluation.style import PREDICTED, TRUE

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
