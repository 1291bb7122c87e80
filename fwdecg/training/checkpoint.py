"""Checkpoints: a surrogate with all it needs to predict, and the state of an unfinished training.

A surrogate is a safetensors file: its weights, and in the header, as JSON, what they are. Any
reader of that format opens it. The state of a training is torch's own file of tensors and plain
values. Neither executes code when it is read.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fwdecg.config import from_tree, to_tree
from fwdecg.errors import CheckpointError, FwdEcgError
from fwdecg.model import Surrogate, SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.training.epoch import Validation
from fwdecg.training.inference import attend_maps, predict_maps
from fwdecg.training.signature import Signature

FORMAT = "fwdecg surrogate 3"
PUBLISHED = Path(__file__).parents[1] / "networks/best.safetensors"  # comes with fwdecg
HEADER = "fwdecg"  # key of the file's metadata; a single one, for their order is not kept


@dataclass(frozen=True, kw_only=True)
class TrainedSurrogate:
    """The weights of a surrogate after `epoch` epochs, with all that is needed to use them.

    Attributes:
        state: weights and statistics by name.
        config: sizes of the network.
        standardisation: of the training split.
        signature: what it was trained on and accepts.
        validation: how good it was on the validation split.
        epoch: number of epochs that it has seen.
    """

    state: dict[str, torch.Tensor]
    config: SurrogateConfig
    standardisation: Standardisation
    signature: Signature
    validation: Validation
    epoch: int

    @property
    def weights_hash(self) -> str:
        """Twelve hexadecimal digits of the weights.

        The hash of the training does not tell weights apart that another machine rounds
        differently.
        """
        digest = hashlib.sha256()
        for name, value in sorted(self.state.items()):
            digest.update(name.encode())
            digest.update(value.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:12]

    def describe(self) -> dict[str, Any]:
        """All but the weights, as plain values."""
        return {
            "format": FORMAT,
            "config": to_tree(self.config),
            "standardisation": asdict(self.standardisation),
            "signature": asdict(self.signature),
            "validation": asdict(self.validation),
            "epoch": self.epoch,
        }

    def save(self, path: Path) -> None:
        """Write everything to one file."""
        state = {name: value.contiguous() for name, value in self.state.items()}
        save_file(state, path, metadata={HEADER: json.dumps(self.describe())})

    def build(self) -> Surrogate:
        """The surrogate with these weights, on the CPU, in evaluation mode."""
        electrodes = len(self.signature.electrodes_mm)
        surrogate = self.config.build(electrodes=electrodes, standardisation=self.standardisation)
        surrogate.load_state_dict(self.state)
        return surrogate.eval()

    def predict(
        self, u: np.ndarray, *, batch_size: int = 8
    ) -> Float32[np.ndarray, "case electrode frame"]:
        """ECG in the library's unit (mm/ms), on the GPU if there is one.

        Args:
            u: dimensionless maps, (frame, row, col) or (case, frame, row, col).
            batch_size: cases predicted at once.

        Raises:
            MapsError: the maps are not of the kind that the surrogate was trained on.
            CheckpointError: a predicted value is not finite.
        """
        return predict_maps(self._network, self.signature.accept(u, "u"), batch_size)

    def attend(
        self, u: np.ndarray, *, batch_size: int = 8
    ) -> Float32[np.ndarray, "case sample frame"]:
        """How much each frame counts while each ECG sample is written; a sample's sum is 1.

        Args:
            u: as for `predict`.
            batch_size: cases at once.

        Raises:
            MapsError: as `predict`.
            CheckpointError: the surrogate has no attention.
        """
        if not self.config.attention:
            raise CheckpointError(
                "this surrogate was trained with model.attention = false and looks at no other "
                "frame; take one with attention"
            )
        return attend_maps(self._network, self.signature.accept(u, "u"), batch_size)

    @cached_property
    def _network(self) -> Surrogate:
        return self.build()


def load_surrogate(path: str | Path = PUBLISHED) -> TrainedSurrogate:
    """A trained surrogate, checked to be complete and consistent.

    Args:
        path: its safetensors file; by default the network that comes with fwdecg, trained on the
            paper's tissues.

    Raises:
        CheckpointError: the file is missing, damaged, or not such a checkpoint.
    """
    header, state = _read(path)
    try:
        content = json.loads(header)
        if content["format"] != FORMAT:
            raise CheckpointError(f"its format is {content['format']}, this fwdecg reads {FORMAT}")
        trained = TrainedSurrogate(
            state=state,
            config=from_tree(SurrogateConfig, content["config"]),
            standardisation=from_tree(Standardisation, content["standardisation"]),
            signature=from_tree(Signature, content["signature"]),
            validation=from_tree(Validation, content["validation"]),
            epoch=content["epoch"],
        )
        trained.build()
    except KeyError as error:
        raise CheckpointError(
            f"{path} is not consistent (its header has no {error}); train again"
        ) from error
    except (FwdEcgError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path} is not consistent ({reason}); train again") from error
    return trained


def _read(path: str | Path) -> tuple[str, dict[str, torch.Tensor]]:
    """The header and the weights of a surrogate's file.

    Raises:
        CheckpointError: the file is missing, damaged, or another one.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path}: no such checkpoint; train one with the job train"
        ) from error
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint: it is damaged, or no safetensors file; give a "
            "best.safetensors or last.safetensors"
        ) from error
    if HEADER not in metadata:
        raise CheckpointError(
            f"{path} is not a surrogate's checkpoint; give a best.safetensors or last.safetensors"
        )
    return metadata[HEADER], state


def load_tensors(path: str | Path) -> dict[str, Any]:
    """The content of a file of tensors and plain values.

    Raises:
        CheckpointError: the file is missing or damaged, or holds anything else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path}: no such checkpoint; train one with the job train"
        ) from error
    except Exception as error:  # torch raises many kinds for many sorts of damage
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint: it is damaged, or holds more than tensors"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is not a checkpoint of this software")
    return content
