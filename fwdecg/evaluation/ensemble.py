"""A deep ensemble: several trainings of one network; their mean is the ECG, their spread its doubt.

Lakshminarayanan, Pritzel and Blundell, "Simple and scalable predictive uncertainty estimation using
deep ensembles", NeurIPS 2017: the members differ in their first weights and in the order of their
cases (`training.seed`), and so disagree where the training split has taught them little.

Axes: M member, N case, E electrode, T frame, H row, W column.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32

from fwdecg.errors import CheckpointError
from fwdecg.model import Surrogate
from fwdecg.training.trained_surrogate import TrainedSurrogate, load_surrogate, predict_maps


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """ECGs of some cases as an ensemble foretells them, in mm/ms.

    Attributes:
        phi_e: mean over the members.
        spread: standard deviation over the members (M - 1 degrees of freedom), not calibrated;
            None with a single member.
    """

    phi_e: Float32[np.ndarray, "N E T"]
    spread: Float32[np.ndarray, "N E T"] | None

    @classmethod
    def of(cls, members: Float32[np.ndarray, "M N E T"]) -> "Forecast":
        """The forecast that the members' ECGs amount to."""
        if len(members) == 1:
            return cls(phi_e=members[0], spread=None)
        wide = members.astype(np.float64)
        return cls(
            phi_e=wide.mean(0).astype(np.float32), spread=wide.std(0, ddof=1).astype(np.float32)
        )


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """One or several trained networks for the same kind of maps, ready to predict."""

    networks: tuple[Surrogate, ...] = field(repr=False)
    batch_size: int

    @classmethod
    def of(cls, members: Sequence[TrainedSurrogate], batch_size: int) -> "Ensemble":
        """The ensemble of trained surrogates.

        Args:
            members: at least one.
            batch_size: cases predicted at once.
        """
        networks = tuple(member.build() for member in members)
        return cls(networks=networks, batch_size=batch_size)

    def predict_each(self, u: Float[np.ndarray, "N T H W"]) -> Float32[np.ndarray, "M N E T"]:
        """ECG of each member in mm/ms.

        Raises:
            CheckpointError: a predicted value is not finite.
        """
        return np.stack([predict_maps(network, u, self.batch_size) for network in self.networks])

    def predict(self, u: Float[np.ndarray, "N T H W"]) -> Forecast:
        """Mean and spread of the members' ECGs.

        Raises:
            CheckpointError: a predicted value is not finite.
        """
        return Forecast.of(self.predict_each(u))


def load_members(paths: Sequence[str]) -> list[TrainedSurrogate]:
    """The trained surrogates of an ensemble.

    Args:
        paths: of their checkpoints, at least one.

    Raises:
        CheckpointError: one cannot be loaded, two have the same weights, or two were trained on
            another kind of maps.
    """
    members = [load_surrogate(path) for path in paths]
    seen: dict[str, str] = {}
    for path, member in zip(paths, members, strict=True):
        digest = member.weights_hash
        if digest in seen:
            raise CheckpointError(
                f"{path} has the same weights as {seen[digest]}: members must differ; give "
                "trainings with another training.seed"
            )
        seen[digest] = path
        for name, first, other in members[0].signature.differences(member.signature):
            raise CheckpointError(
                f"{path} was trained on {name} = {other}, {paths[0]} on {first}: the members of an "
                "ensemble must agree; give trainings on such a library"
            )
    return members
