"""Specification of a training, and format of the maps that its surrogate accepts.

Axes: N case, T frame, H row, W column.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.splits import TRAIN, VALIDATION
from fwdecg.config import identity_hash, identity_tree
from fwdecg.errors import CheckpointError, LibraryError, MapsError
from fwdecg.library.reader import Library
from fwdecg.model import SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.training.training_config import TrainingConfig, require_midline

# u = (V - V0) / (Vfi - V0) overshoots [0, 1] slightly. Values far outside are not dimensionless.
LOWEST_U, HIGHEST_U = -0.5, 1.5


@dataclass(frozen=True, kw_only=True)
class RecordingFormat:
    """Format of maps and ECGs, which must be the same for a surrogate and its data.

    Attributes:
        frames: number of frames of a case.
        map_pixels: number of rows and of columns of a map.
        electrodes_mm: position (x, y, z) of each electrode.
        frame_interval_ms: time between frames.
    """

    frames: int
    map_pixels: int
    electrodes_mm: tuple[tuple[float, float, float], ...]
    frame_interval_ms: float

    @classmethod
    def of(cls, library: LibraryConfig) -> "RecordingFormat":
        """Return the format of a library's recordings."""
        recording = library.recording
        return cls(
            frames=recording.frames,
            map_pixels=recording.map_pixels,
            electrodes_mm=library.electrodes_mm,
            frame_interval_ms=recording.frame_interval_ms,
        )

    def differences(self, other: "RecordingFormat") -> Iterator[tuple[str, Any, Any]]:
        """Yield (name, own value, other value) of each field that differs from another format."""
        for field in fields(RecordingFormat):
            own, others = getattr(self, field.name), getattr(other, field.name)
            if own != others:
                yield field.name, own, others


@dataclass(frozen=True, kw_only=True)
class ModelSignature(RecordingFormat):
    """The format of the data a surrogate accepts, and the hashes of what it was trained on.

    Attributes:
        library_hash: hash of the library's configuration.
        training_hash: hash of model, training settings and library.
    """

    library_hash: str
    training_hash: str

    def require_fit(self, library: LibraryConfig) -> None:
        """Raise `CheckpointError` if a library's recordings have another format."""
        for name, trained, found in self.differences(RecordingFormat.of(library)):
            raise CheckpointError(
                f"the checkpoint was trained on {name} = {trained}, the library has {found}: both "
                "must agree; give a checkpoint trained on such a library"
            )

    def accept(self, maps: np.ndarray, source: str) -> Float[np.ndarray, "N T H W"]:
        """Return maps with an axis of cases, as float16 or float32, after checking them.

        Args:
            maps: dimensionless u, (frame, row, col) or (case, frame, row, col), of any
                floating-point type.
            source: origin of the maps, for error messages.

        Raises:
            MapsError: the array has another shape or type, or values that are not finite or not
                dimensionless.
        """
        if maps.dtype.kind != "f":
            raise MapsError(
                f"{source} holds {maps.dtype} values: maps must be floating-point; save them as "
                "float32"
            )
        cases = maps[None] if maps.ndim == 3 else maps
        pixels = self.map_pixels
        if cases.shape[1:] != (self.frames, pixels, pixels) or len(cases) == 0:
            raise MapsError(
                f"{source} has shape {maps.shape}: must be (frame, row, col) = ({self.frames}, "
                f"{pixels}, {pixels}), optionally preceded by an axis of cases, as in the training "
                "of the checkpoint; resample the maps"
            )
        with np.errstate(over="ignore"):  # values beyond float32 become infinite: refused below
            u = cases if cases.dtype == np.float16 else cases.astype(np.float32)
        _require_dimensionless(u, source)
        return u


def _require_dimensionless(u: Float[np.ndarray, "N T H W"], source: str) -> None:
    lowest, highest = float(u.min()), float(u.max())
    if not np.isfinite([lowest, highest]).all():  # a single NaN makes both NaN
        raise MapsError(
            f"{source} holds NaN or infinity: every value must be finite; repair the maps"
        )
    if lowest < LOWEST_U or highest > HIGHEST_U:
        raise MapsError(
            f"{source} holds values from {lowest:g} to {highest:g}: u must lie within "
            f"{LOWEST_U:g} and {HIGHEST_U:g}; scale the voltage V to (V - V0) / (Vfi - V0), which "
            "is 0 at rest"
        )


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """Everything that determines the result of a training, except the cases themselves.

    Attributes:
        model: configuration of the surrogate.
        training: configuration of the training.
        standardisation: mean and standard deviation of the training split.
        signature: data format and hashes, as the trained surrogate will store them.
    """

    model: SurrogateConfig
    training: TrainingConfig
    standardisation: Standardisation
    signature: ModelSignature

    @classmethod
    def from_library(
        cls, library: Library, model: SurrogateConfig, training: TrainingConfig
    ) -> "TrainingSpec":
        """Return the specification of a training on a library.

        Raises:
            LibraryError: there are fewer training or validation cases than workers.
            ConfigError: `training.mirror` is true, but mirroring would change the ECG.
        """
        workers = max(training.workers, 1)
        for split in (TRAIN, VALIDATION):
            if library.count(split) < workers:
                raise LibraryError(
                    f"{library.location} has {library.count(split)} {split} cases for {workers} "
                    "workers; lower training.workers or raise library.cases and build it again"
                )
        if training.mirror:
            require_midline(library.config)
        statistics = library.statistics
        return cls(
            model=model,
            training=training,
            standardisation=Standardisation(
                u_mean=statistics.u_mean,
                u_spread=statistics.u_spread,
                phi_e_mean=statistics.phi_e_mean,
                phi_e_spread=statistics.phi_e_spread,
            ),
            signature=ModelSignature(
                **vars(RecordingFormat.of(library.config)),
                library_hash=library.config_hash,
                training_hash=identity_hash(model, training, library.config_hash),
            ),
        )

    @property
    def identity(self) -> dict[str, Any]:
        """The settings that distinguish this training from others, as plain values."""
        return {
            "model": identity_tree(self.model),
            "training": identity_tree(self.training),
            "library": self.signature.library_hash,
        }
