"""A trained surrogate with everything it needs to predict, and its file format.

A safetensors file contains the weights and, in its header, their description as JSON. Any reader of
that format opens the file, and reading it executes no code.

Axes: N case, B case of a batch, E electrode, T frame, H row, W column.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor

from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.config import from_tree, to_tree
from fwdecg.errors import CheckpointError, FwdEcgError, FwdEcgWarning, MapsError
from fwdecg.maps.map_quality import MapQuality
from fwdecg.maps.recording_format import OwnMaps, at_times, own_maps
from fwdecg.model import Surrogate, SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.model.surrogate import build_surrogate
from fwdecg.shapes import Numbers
from fwdecg.training.epoch import Validation
from fwdecg.training.training_spec import ModelSignature

DOUBTS = ("warn", "raise", "ignore")  # what to do with a doubt

FORMAT = "fwdecg surrogate 3"
PUBLISHED = Path(__file__).parents[1] / "networks/best.safetensors"  # part of the package
HEADER = "fwdecg"  # the only metadata key, because the format does not keep the order of keys


@dataclass(frozen=True, kw_only=True)
class TrainedSurrogate:
    """The weights of a surrogate after `epoch` epochs, and everything needed to use them.

    Attributes:
        state: weights and statistics by name.
        config: configuration of the network.
        standardisation: mean and standard deviation of the training split.
        signature: format of the data it accepts, and hashes of what it was trained on.
        validation: scores on the validation split.
        epoch: number of epochs after which these weights were stored.
    """

    state: dict[str, torch.Tensor]
    config: SurrogateConfig
    standardisation: Standardisation
    signature: ModelSignature
    validation: Validation
    epoch: int

    @property
    def weights_hash(self) -> str:
        """A hash of the weights, twelve hexadecimal digits.

        Unlike `signature.training_hash`, it differs if two machines rounded the weights
        differently.
        """
        digest = hashlib.sha256()
        for name, value in sorted(self.state.items()):
            digest.update(name.encode())
            digest.update(value.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:12]

    def describe(self) -> dict[str, Any]:
        """Return everything but the weights, as plain values."""
        return {
            "format": FORMAT,
            "config": to_tree(self.config),
            "standardisation": asdict(self.standardisation),
            "signature": asdict(self.signature),
            "validation": asdict(self.validation),
            "epoch": self.epoch,
        }

    def save(self, path: Path) -> None:
        """Write the surrogate to a safetensors file."""
        state = {name: value.contiguous() for name, value in self.state.items()}
        # `save_file` would raise an error of its own if the disk is full.
        path.write_bytes(serialise(state, metadata={HEADER: json.dumps(self.describe())}))

    def build(self) -> Surrogate:
        """Return the network with these weights, on the CPU and in evaluation mode."""
        electrodes = len(self.signature.electrodes_mm)
        surrogate = build_surrogate(
            self.config, electrodes=electrodes, standardisation=self.standardisation
        )
        surrogate.load_state_dict(self.state)
        return surrogate.eval()

    def predict(
        self,
        maps: RecordedCase | Numbers,
        *,
        frame_interval_ms: float | None = None,
        map_spacing_mm: float | None = None,
        electrodes_mm: Numbers | None = None,
        doubts: str = "warn",
        batch_size: int = 8,
    ) -> Float32[np.ndarray, "case electrode frame"]:
        """Return the ECG in the library's unit (mm/ms), computed on the GPU if there is one.

        A case brings its geometry. For other maps it is taken from the arguments and compared with
        the training's: frames and pixels are converted, another sheet or electrode is refused.

        Args:
            maps: a case, or dimensionless maps (frame, row, col) or (case, frame, row, col).
            frame_interval_ms: time between the frames of the maps.
            map_spacing_mm: side of a pixel of the maps.
            electrodes_mm: (x, y, z) of each electrode whose ECG is wanted.
            doubts: what to do if the maps had to be converted, their geometry is not given, or they
                look unlike those of the training: "warn", "raise" or "ignore".
            batch_size: number of cases predicted at once.

        Raises:
            MapsError: the maps have another geometry, shape, type or unit than the surrogate
                accepts, or there is a doubt and `doubts` is "raise".
            TissueError: `electrodes_mm` is no array (electrode, 3) of finite numbers.
            CheckpointError: a predicted value is not finite.
        """
        own = own_maps(maps, frame_interval_ms, map_spacing_mm, electrodes_mm)
        u = self.prepare(own, doubts)
        return at_times(predict_maps(self._network, u, batch_size), self.signature, own.times_ms)

    def quality(self, maps: RecordedCase | Numbers) -> list[MapQuality]:
        """Return what the maps of each case show: rest, height, noise, and how much is active.

        Args:
            maps: as for `predict`.

        Raises:
            MapsError: as in `predict`, whatever the geometry.
        """
        return [MapQuality.of(u) for u in own_maps(maps).u]

    def attend(
        self,
        maps: RecordedCase | Numbers,
        *,
        frame_interval_ms: float | None = None,
        map_spacing_mm: float | None = None,
        doubts: str = "warn",
        batch_size: int = 8,
    ) -> Float32[np.ndarray, "case sample frame"]:
        """Return the attention weight of each frame for each ECG sample; they sum to 1 over frames.

        Args:
            maps: as for `predict`.
            frame_interval_ms: as for `predict`.
            map_spacing_mm: as for `predict`.
            doubts: as for `predict`.
            batch_size: number of cases processed at once.

        Raises:
            MapsError: as in `predict`.
            CheckpointError: the surrogate has no attention.
        """
        if not self.config.attention:
            raise CheckpointError(
                "this surrogate was trained with model.attention = false and has no attention "
                "weights; use one with attention"
            )
        electrodes_mm = self.signature.electrodes_mm  # they do not matter
        u = self.prepare(own_maps(maps, frame_interval_ms, map_spacing_mm, electrodes_mm), doubts)
        batches = _device_batches(self._network, u, batch_size)
        return torch.cat([self._network.attend(batch).cpu() for batch in batches]).float().numpy()

    def prepare(self, own: OwnMaps, doubts: str = "warn") -> Float[np.ndarray, "N T H W"]:
        """Return maps in the format of the training, and report every doubt as `predict` does.

        Raises:
            MapsError: as in `predict`.
        """
        if doubts not in DOUBTS:
            raise MapsError(f"doubts = {doubts!r}: must be one of {', '.join(DOUBTS)}")
        if own.electrodes_mm is not None:
            self.signature.require_electrodes(own.electrodes_mm)
        u, found = own.converted(self.signature)
        if not own.is_complete:
            found.insert(0, f"the maps are taken to have {self.signature.assumptions}")
        accepted = []
        for number, maps in enumerate(u):
            quality = MapQuality.of(maps)
            which = f"case {number}: " if len(u) > 1 else ""
            found += [which + problem for problem in quality.problems]
            accepted.append(quality.rescaled(maps) if quality.rescales else maps)
        if found and doubts == "raise":
            raise MapsError("; ".join(found))
        if found and doubts == "warn":
            for message in found:
                warnings.warn(message, FwdEcgWarning, stacklevel=3)
        return np.stack(accepted)

    @cached_property
    def _network(self) -> Surrogate:
        return self.build()


def load_surrogate(path: str | Path = PUBLISHED) -> TrainedSurrogate:
    """Load a trained surrogate and check that it is complete and consistent.

    Args:
        path: safetensors file; by default the network that comes with fwdecg, which was trained on
            the paper's tissues.

    Raises:
        CheckpointError: the file is missing or damaged, or is no surrogate of this version.
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
            signature=from_tree(ModelSignature, content["signature"]),
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
    """Return the header and the weights in a surrogate's file.

    Raises:
        CheckpointError: the file is missing, damaged, or no surrogate.
    """
    try:
        with safe_open(Path(path).expanduser(), framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path}: no such checkpoint; train one with the job train"
        ) from error
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint: it is damaged or not in the safetensors "
            "format; give a best.safetensors or last.safetensors"
        ) from error
    if HEADER not in metadata:
        raise CheckpointError(
            f"{path} is not a surrogate's checkpoint; give a best.safetensors or last.safetensors"
        )
    return metadata[HEADER], state


def predict_maps(
    surrogate: Surrogate, u: Float[np.ndarray, "N T H W"], batch_size: int
) -> Float32[np.ndarray, "N E T"]:
    """Return the ECG of voltage maps in the library's unit (mm/ms).

    Args:
        surrogate: network, which is moved to the GPU if there is one and set to evaluation mode.
        u: dimensionless maps of at least one case.
        batch_size: number of cases predicted at once.

    Raises:
        MapsError: the maps are too small for the surrogate's encoder.
        CheckpointError: a predicted value is not finite.
    """
    phi_e = [
        surrogate.predict(batch).mT.cpu() for batch in _device_batches(surrogate, u, batch_size)
    ]
    prediction = torch.cat(phi_e).float().numpy()
    if not np.isfinite(prediction).all():
        raise CheckpointError(
            "the surrogate predicts values that are not finite: its weights cannot be used; train "
            "again with a lower training.learning_rate"
        )
    return prediction


def _device_batches(
    surrogate: Surrogate, u: Float[np.ndarray, "N T H W"], batch_size: int
) -> Iterator[Float[Tensor, "B T H W"]]:
    """Move the surrogate to the GPU if there is one, and yield the maps there in batches."""
    if batch_size < 1:
        raise MapsError(f"batch_size = {batch_size}: must be at least 1")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    surrogate.eval().to(device)
    for first in range(0, len(u), batch_size):
        # torch.tensor copies the array. Arrow's arrays are read-only, which torch does not support.
        yield torch.tensor(u[first : first + batch_size], device=device)
