"""A trained surrogate as a predictor, and whether it fits a library.

Axes: N case, E electrode, T frame.
"""

import hashlib
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from fwdecg.errors import CheckpointError
from fwdecg.evaluation.cases import LabelledCases
from fwdecg.library.config import LibraryConfig
from fwdecg.model import Surrogate
from fwdecg.training.checkpoint import TrainedSurrogate
from fwdecg.training.inference import predict_maps
from fwdecg.training.signature import Signature


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
        if trained != found:
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
