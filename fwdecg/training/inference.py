"""ECGs of a surrogate, for NumPy arrays of any number of cases.

Axes: N case, E electrode, T frame, H row, W column.
"""

import numpy as np
import torch
from jaxtyping import Float, Float32

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
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    surrogate.eval().to(device)
    batches = (u[first : first + batch_size] for first in range(0, len(u), batch_size))
    # torch.tensor copies: Arrow's arrays are read-only, which torch cannot express.
    phi_e = [surrogate.predict(torch.tensor(batch, device=device)).mT.cpu() for batch in batches]
    prediction = torch.cat(phi_e).float().numpy()
    if not np.isfinite(prediction).all():
        raise CheckpointError(
            "the surrogate predicts values that are not finite: its weights are of no use; train "
            "again with a lower training.learning_rate"
        )
    return prediction
