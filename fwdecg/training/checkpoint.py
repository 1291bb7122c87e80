"""Checkpoints: a surrogate with all it needs to predict, and the state of an unfinished training.

Both are files of tensors and plain values, read back without executing code (`weights_only`).
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from fwdecg.config import from_tree, to_tree
from fwdecg.errors import CheckpointError, FwdEcgError
from fwdecg.model import Surrogate, SurrogateConfig
from fwdecg.model.standardise import Standardisation

FORMAT = "fwdecg surrogate 1"


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What a surrogate was trained on and accepts.

    Attributes:
        frames: frames of a case.
        map_pixels: rows and columns of a map.
        electrodes_mm: positions of the electrodes whose ECG it predicts.
        frame_interval_ms: time between frames.
        library_hash: of the library.
        training_hash: of model, training settings and library.
    """

    frames: int
    map_pixels: int
    electrodes_mm: tuple[tuple[float, float, float], ...]
    frame_interval_ms: float
    library_hash: str
    training_hash: str


@dataclass(frozen=True, kw_only=True)
class TrainedSurrogate:
    """The weights of a surrogate after `epoch` epochs, with all that is needed to use them."""

    state: dict[str, torch.Tensor]
    config: SurrogateConfig
    standardisation: Standardisation
    signature: Signature
    epoch: int

    def save(self, path: Path) -> None:
        """Write everything to one file."""
        content = {
            "format": FORMAT,
            "config": to_tree(self.config),
            "standardisation": asdict(self.standardisation),
            "signature": asdict(self.signature),
            "epoch": self.epoch,
            "state": self.state,
        }
        torch.save(content, path)

    def build(self) -> Surrogate:
        """The surrogate with these weights, on the CPU, in evaluation mode."""
        electrodes = len(self.signature.electrodes_mm)
        surrogate = self.config.build(electrodes=electrodes, standardisation=self.standardisation)
        surrogate.load_state_dict(self.state)
        return surrogate.eval()


def load_surrogate(path: str | Path) -> TrainedSurrogate:
    """A trained surrogate, checked to be complete and consistent.

    Raises:
        CheckpointError: the file is missing, damaged, or not such a checkpoint.
    """
    content = load_tensors(path)
    if content.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a surrogate's checkpoint; give a best.pt or last.pt")
    try:
        trained = TrainedSurrogate(
            state=content["state"],
            config=from_tree(SurrogateConfig, content["config"]),
            standardisation=Standardisation(**content["standardisation"]),
            signature=Signature(**content["signature"]),
            epoch=content["epoch"],
        )
        trained.build()
    except (FwdEcgError, KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path} is not consistent ({reason}); train again") from error
    return trained


def load_tensors(path: str | Path) -> dict[str, Any]:
    """The content of a file of tensors and plain values.

    Raises:
        CheckpointError: the file is missing or damaged, or holds anything else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path}: no such checkpoint; train one with jobs/train.py"
        ) from error
    except Exception as error:  # torch raises many kinds for many sorts of damage
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint: it is damaged, or holds more than tensors"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is not a checkpoint of this software")
    return content
