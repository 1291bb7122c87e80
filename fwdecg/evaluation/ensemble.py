"""Deep ensembles: several trainings of one network, their mean ECG and standard deviation.

Lakshminarayanan, Pritzel and Blundell, "Simple and scalable predictive uncertainty estimation using
deep ensembles", NeurIPS 2017. The members differ in their initial weights and in the order of their
training cases (`training.seed`). They therefore disagree where the training split determines the
prediction poorly.

Axes: M member, N case, E electrode, T frame, H row, W column.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from fwdecg.errors import CheckpointError
from fwdecg.maps.recording_format import RecordingFormat, at_times
from fwdecg.training.trained_surrogate import TrainedSurrogate, load_surrogate, predict_maps


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Predicted ECGs of some cases, in mm/ms.

    Attributes:
        phi_e: mean over the members.
        phi_e_std: standard deviation over the members with M - 1 degrees of freedom, not
            calibrated; None with a single member.
    """

    phi_e: Float32[np.ndarray, "N E T"]
    phi_e_std: Float32[np.ndarray, "N E T"] | None

    @classmethod
    def from_members(cls, members: Float32[np.ndarray, "M N E T"]) -> "Forecast":
        """Combine the ECGs of the members."""
        if len(members) == 1:
            return cls(phi_e=members[0], phi_e_std=None)
        wide = members.astype(np.float64)
        return cls(
            phi_e=wide.mean(0).astype(np.float32),
            phi_e_std=wide.std(0, ddof=1).astype(np.float32),
        )

    def at_times(self, form: RecordingFormat, times_ms: np.ndarray | None) -> "Forecast":
        """Return the forecast, which is in a format's frames, at other times."""
        std = self.phi_e_std
        return Forecast(
            phi_e=at_times(self.phi_e, form, times_ms),
            phi_e_std=None if std is None else at_times(std, form, times_ms),
        )


class Ensemble:
    """One or several trained networks for the same kind of maps."""

    def __init__(self, members: Sequence[TrainedSurrogate], batch_size: int) -> None:
        """Build the networks of at least one checkpoint, to predict `batch_size` cases at once."""
        self.networks = [member.build() for member in members]
        self.batch_size = batch_size

    def predict_members(self, u: Float[np.ndarray, "N T H W"]) -> Float32[np.ndarray, "M N E T"]:
        """Return the ECG of each member in mm/ms.

        Raises:
            CheckpointError: a predicted value is not finite.
        """
        return np.stack([predict_maps(network, u, self.batch_size) for network in self.networks])

    def predict(self, u: Float[np.ndarray, "N T H W"]) -> Forecast:
        """Return the mean and standard deviation of the members' ECGs.

        Raises:
            CheckpointError: a predicted value is not finite.
        """
        return Forecast.from_members(self.predict_members(u))


def load_members(paths: Sequence[str]) -> list[TrainedSurrogate]:
    """Load the trained surrogates of an ensemble.

    Args:
        paths: at least one checkpoint.

    Raises:
        CheckpointError: a checkpoint cannot be loaded, two have the same weights, or two were
            trained on different kinds of maps.
    """
    members = [load_surrogate(path) for path in paths]
    seen: dict[str, str] = {}
    for path, member in zip(paths, members, strict=True):
        digest = member.weights_hash
        if digest in seen:
            raise CheckpointError(
                f"{path} has the same weights as {seen[digest]}: members must differ; give "
                "trainings with different values of training.seed"
            )
        seen[digest] = path
        for name, first, other in members[0].signature.differences(member.signature):
            raise CheckpointError(
                f"{path} was trained on {name} = {other}, {paths[0]} on {first}: the members of an "
                "ensemble must agree; give trainings on libraries with the same recording"
            )
    return members
