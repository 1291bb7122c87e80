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
from fwdecg.training.training_spec import ModelSignature

KEY = "u"  # of the maps in an .npz file of several arrays


def read_maps(path: str | Path, signature: ModelSignature) -> Float[np.ndarray, "N T H W"]:
    """Dimensionless maps of one or several cases, float16 or float32.

    Args:
        path: an .npy file, or an .npz file with the array `u` or a single array; of shape
            (frame, row, col) or (case, frame, row, col) and of any floating-point type.
        signature: of the surrogate that they are meant for.

    Raises:
        MapsError: the file is missing or unreadable, or the array is not such maps.
    """
    return signature.accept(_load(Path(path)), str(path))


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
