"""Predictors of ECGs, which an evaluation compares: the network, and any other method.

Axes: N case, E electrode, T frame.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Float64

from fwdecg.library.labelled_cases import LabelledCases
from fwdecg.model import Surrogate
from fwdecg.shapes import Frames, LeadFields
from fwdecg.training.trained_surrogate import TrainedSurrogate, predict_maps

Ecgs = Float32[np.ndarray, "N E T"]


@dataclass(frozen=True, kw_only=True)
class Predictor(ABC):
    """Anything that predicts the ECGs of cases.

    Attributes:
        name: name in reports and pictures.
        detail: short description for the report.
        knows_tissue: whether it uses D and the patches of a case in addition to its maps.
    """

    name: str
    detail: str
    knows_tissue: ClassVar[bool] = False

    @abstractmethod
    def predict(self, cases: LabelledCases) -> Ecgs:
        """Return the ECG of each case in mm/ms."""


@dataclass(frozen=True, kw_only=True)
class Network(Predictor):
    """The trained surrogate as a predictor, which uses the maps alone."""

    name: str = "network"
    surrogate: Surrogate = field(repr=False)
    batch_size: int

    @classmethod
    def from_checkpoint(cls, trained: TrainedSurrogate, batch_size: int) -> "Network":
        """Build the network of a checkpoint."""
        surrogate = trained.build()
        weights = sum(parameter.numel() for parameter in surrogate.parameters())
        detail = f"{weights} weights, epoch {trained.epoch}"
        return cls(surrogate=surrogate, batch_size=batch_size, detail=detail)

    def predict(self, cases: LabelledCases) -> Ecgs:
        """Return the ECG of each case in mm/ms."""
        return predict_maps(self.surrogate, cases.u, self.batch_size)


@dataclass(frozen=True, kw_only=True)
class LinearPredictor(Predictor):
    """A predictor that is linear in the map of a frame, with the same weights for every case.

    Attributes:
        weights: weight of u in each pixel, in mm/ms, for each electrode.
        intercept: constant of each electrode in mm/ms.
    """

    weights: LeadFields
    intercept: Float64[np.ndarray, " E"]

    def predict(self, cases: LabelledCases) -> Ecgs:
        """Return the ECG of each case in mm/ms."""
        offset = self.intercept[:, None].astype(np.float32)
        return np.stack([weighted_sums(self.weights, u) + offset for u in cases.u])


def weighted_sums(weights: LeadFields, u: Frames) -> Float32[np.ndarray, "E T"]:
    """Return the sum of weights times u over the pixels of each frame, computed in float64."""
    return np.einsum("erc,trc->et", weights, u.astype(np.float64)).astype(np.float32)
