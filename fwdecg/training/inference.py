"""ECGs and attention of a surrogate, for NumPy arrays of any number of cases.

Axes: N case, B case of a batch, E electrode, T frame, H row, W column.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from fwdecg.errors import CheckpointError
from fwdecg.model import Surrogate


def predict_maps(
    surrogate: Surrogate, u: Float[np.ndarray, "N T H W"], batch_size: int
) -> Float32[np.ndarray, "N E T"]:
    """ECG in the library's unit (mm/ms) of voltage maps.

    Args:
        surrogate: moved to the GPU, if there is one, and put into evaluation mode.
        u: dimensionless maps of at least one case.
        batch_size: cases predicted at once.

    Raises:
        MapsError: the maps are too small for the surrogate's encoder.
        CheckpointError: a predicted value is not finite.
    """
    phi_e = [surrogate.predict(batch).mT.cpu() for batch in _ready(surrogate, u, batch_size)]
    prediction = torch.cat(phi_e).float().numpy()
    if not np.isfinite(prediction).all():
        raise CheckpointError(
            "the surrogate predicts values that are not finite: its weights are of no use; train "
            "again with a lower training.learning_rate"
        )
    return prediction


def attend_maps(
    surrogate: Surrogate, u: Float[np.ndarray, "N T H W"], batch_size: int
) -> Float32[np.ndarray, "N T T"]:
    """How much each frame (last axis) counts while each ECG sample (axis 1) is written.

    Args:
        surrogate: as for `predict_maps`, with attention.
        u: dimensionless maps of at least one case.
        batch_size: cases at once.

    Raises:
        MapsError: as `predict_maps`.
    """
    weights = [surrogate.attend(batch).cpu() for batch in _ready(surrogate, u, batch_size)]
    return torch.cat(weights).float().numpy()


def _ready(
    surrogate: Surrogate, u: Float[np.ndarray, "N T H W"], batch_size: int
) -> Iterator[Float[Tensor, "B T H W"]]:
    """The maps in batches beside the surrogate, which is put into evaluation mode."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    surrogate.eval().to(device)
    for first in range(0, len(u), batch_size):
        # torch.tensor copies: Arrow's arrays are read-only, which torch cannot express.
        yield torch.tensor(u[first : first + batch_size], device=device)
