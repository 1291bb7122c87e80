"""A trained surrogate as a predictor.

Axes: N case, E electrode, T frame.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from fwdecg.library.labelled_cases import LabelledCases
from fwdecg.model import Surrogate
from fwdecg.training.trained_surrogate import TrainedSurrogate, predict_maps


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
