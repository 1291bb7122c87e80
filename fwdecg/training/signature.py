"""What a surrogate was trained on, and whether maps or a library are of that kind.

Axes: N case, T frame, H row, W column.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.errors import CheckpointError, MapsError

# u = (V - V0) / (Vfi - V0) overshoots [0, 1] a little; far outside, it is in another unit.
LOWEST_U, HIGHEST_U = -0.5, 1.5


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What maps and ECGs must be like to go with one surrogate.

    Attributes:
        frames: frames of a case.
        map_pixels: rows and columns of a map.
        electrodes_mm: positions of the electrodes of the ECG.
        frame_interval_ms: time between frames.
    """

    frames: int
    map_pixels: int
    electrodes_mm: tuple[tuple[float, float, float], ...]
    frame_interval_ms: float

    @classmethod
    def of(cls, library: LibraryConfig) -> "Kind":
        """The kind of a library."""
        recording = library.recording
        return cls(
            frames=recording.frames,
            map_pixels=recording.map_pixels,
            electrodes_mm=library.electrodes_mm,
            frame_interval_ms=recording.frame_interval_ms,
        )

    def differences(self, other: "Kind") -> Iterator[tuple[str, Any, Any]]:
        """Name, own and other value of what makes another kind differ."""
        for each in fields(Kind):
            mine, theirs = (getattr(kind, each.name) for kind in (self, other))
            if mine != theirs:
                yield each.name, mine, theirs


@dataclass(frozen=True, kw_only=True)
class Signature(Kind):
    """What a surrogate was trained on and accepts.

    Attributes:
        library_hash: of the library.
        training_hash: of model, training settings and library.
    """

    library_hash: str
    training_hash: str

    def require_fit(self, library: LibraryConfig) -> None:
        """Raise `CheckpointError` if a library's maps or electrodes are not those of the training.

        Args:
            library: its configuration.
        """
        for name, trained, found in self.differences(Kind.of(library)):
            raise CheckpointError(
                f"the checkpoint was trained on {name} = {trained}, the library has {found}: both "
                "must agree; give a checkpoint trained on such a library"
            )

    def accept(self, maps: np.ndarray, source: str) -> Float[np.ndarray, "N T H W"]:
        """Maps of one or several cases with an axis of cases, float16 or float32.

        Args:
            maps: dimensionless, (frame, row, col) or (case, frame, row, col), of any
                floating-point type.
            source: where they come from, for the message.

        Raises:
            MapsError: the array is not such maps.
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
                f"{pixels}, {pixels}), with any number of cases before, as the checkpoint was "
                "trained on; resample the maps"
            )
        with np.errstate(over="ignore"):  # what is beyond float32 becomes infinity, and is refused
            u = cases if cases.dtype == np.float16 else cases.astype(np.float32)
        _require_dimensionless(u, source)
        return u


def _require_dimensionless(u: Float[np.ndarray, "N T H W"], source: str) -> None:
    lowest, highest = float(u.min()), float(u.max())
    if not np.isfinite([lowest, highest]).all():  # either is NaN if any value is
        raise MapsError(
            f"{source} holds NaN or infinity: every value must be finite; mend the maps"
        )
    if lowest < LOWEST_U or highest > HIGHEST_U:
        raise MapsError(
            f"{source} holds values from {lowest:g} to {highest:g}: u must lie within "
            f"{LOWEST_U:g} and {HIGHEST_U:g}; scale the voltage V to (V - V0) / (Vfi - V0), 0 at "
            "rest"
        )
