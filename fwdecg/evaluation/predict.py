"""ECGs of a trained surrogate, and whether it fits the maps it is given.

Axes: N case, E electrode, T frame, H row, W column.
"""

import hashlib
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32

from fwdecg.errors import CheckpointError
from fwdecg.evaluation.cases import LabelledCases
from fwdecg.library.config import LibraryConfig
from fwdecg.model import Surrogate
from fwdecg.training.checkpoint import Signature, TrainedSurrogate


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


def require_fit(signature: Signature, library: LibraryConfig) -> None:
    """Refuse a library whose maps or electrodes are not those that a surrogate was trained on.

    Args:
        signature: of the surrogate.
        library: its configuration.

    Raises:
        CheckpointError: frames, map pixels, electrodes or frame interval differ.
    """
    recording = library.recording
    asked: dict[str, float | tuple] = {
        "frames": recording.frames,
        "map_pixels": recording.map_pixels,
        "electrodes_mm": library.electrodes_mm,
        "frame_interval_ms": recording.frame_interval_ms,
    }
    for name, found in asked.items():
        trained = getattr(signature, name)
        if _plain(trained) != _plain(found):
            raise CheckpointError(
                f"the checkpoint was trained on {name} = {trained}, the library has {found}: both "
                "must agree; give a checkpoint trained on such a library"
            )


def weights_hash(trained: TrainedSurrogate) -> str:
    """Twelve hexadecimal digits of a surrogate's weights.

    The hash of the training does not tell weights apart that another machine rounds differently.
    """
    digest = hashlib.sha256()
    for name, value in sorted(trained.state.items()):
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class Network:
    """The trained surrogate as one predictor among others; it sees nothing but the maps."""

    name: ClassVar[str] = "network"
    knows_tissue: ClassVar[bool] = False

    surrogate: Surrogate = field(repr=False)
    batch_size: int
    detail: str

    @classmethod
    def of(cls, trained: TrainedSurrogate, batch_size: int) -> "Network":
        """The network of a checkpoint."""
        surrogate = trained.build()
        weights = sum(parameter.numel() for parameter in surrogate.parameters())
        detail = f"{weights} weights, epoch {trained.epoch}"
        return cls(surrogate=surrogate, batch_size=batch_size, detail=detail)

    def predict(self, cases: LabelledCases) -> Float32[np.ndarray, "N E T"]:
        """ECG of some cases in mm/ms."""
        return predict_maps(self.surrogate, cases.u, self.batch_size)


def _plain(value: float | tuple) -> float | tuple:
    """Nested sequences as tuples: a checkpoint gives lists or tuples back as it was written."""
    return value if isinstance(value, int | float) else tuple(tuple(entry) for entry in value)
