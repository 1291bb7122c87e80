"""Voltage maps from a user's own NumPy file.

Axes: N case, T frame, H row, W column.
"""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from fwdecg.errors import MapsError
from fwdecg.training.checkpoint import Signature

KEY = "u"  # of the maps in an .npz file of several arrays

# u = (V - V0) / (Vfi - V0) overshoots [0, 1] a little; far outside, the file is in another unit.
LOWEST_U, HIGHEST_U = -0.5, 1.5


def read_maps(path: str | Path, signature: Signature) -> Float[np.ndarray, "N T H W"]:
    """Dimensionless maps of one or several cases, float16 or float32.

    Args:
        path: an .npy file, or an .npz file with the array `u` or a single array; of shape
            (frame, row, col) or (case, frame, row, col) and of any floating-point type.
        signature: of the surrogate that they are meant for.

    Raises:
        MapsError: the file is missing or unreadable, or the array is not such maps.
    """
    array = _load(Path(path))
    if array.dtype.kind != "f":
        raise MapsError(
            f"{path} holds {array.dtype} values: maps must be floating-point; save them as float32"
        )
    cases = array[None] if array.ndim == 3 else array
    pixels = signature.map_pixels
    if cases.shape[1:] != (signature.frames, pixels, pixels) or len(cases) == 0:
        raise MapsError(
            f"{path} has shape {array.shape}: must be (frame, row, col) = ({signature.frames}, "
            f"{pixels}, {pixels}), with any number of cases before, as the checkpoint was trained "
            "on; resample the maps"
        )
    with np.errstate(over="ignore"):  # what is beyond float32 becomes infinity, and is refused
        u = cases if cases.dtype == np.float16 else cases.astype(np.float32)
    _require_dimensionless(u, path)
    return u


def _load(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return content
            return np.asarray(content[_key(content.files, path)])
    except OSError as error:
        reason = error.strerror or "not a NumPy file"
        raise MapsError(f"{path}: {reason}; give a library or an .npy or .npz file") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise MapsError(
            f"{path} cannot be read as .npy or .npz of plain numbers; save it with numpy.save"
        ) from error


def _key(names: Sequence[str], path: Path) -> str:
    """Which array of an .npz file is meant."""
    if KEY not in names and len(names) != 1:
        raise MapsError(
            f"{path} holds the arrays {', '.join(names) or '(none)'}: one must be named {KEY}, or "
            f"be the only one; save the maps as {KEY}"
        )
    return KEY if KEY in names else names[0]


def _require_dimensionless(u: Float[np.ndarray, "N T H W"], path: str | Path) -> None:
    lowest, highest = float(u.min()), float(u.max())
    if not np.isfinite([lowest, highest]).all():  # either is NaN if any value is
        raise MapsError(f"{path} holds NaN or infinity: every value must be finite; mend the maps")
    if lowest < LOWEST_U or highest > HIGHEST_U:
        raise MapsError(
            f"{path} holds values from {lowest:g} to {highest:g}: u must lie within {LOWEST_U:g} "
            f"and {HIGHEST_U:g}; scale the voltage V to (V - V0) / (Vfi - V0), 0 at rest"
        )
