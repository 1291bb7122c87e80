"""Read the voltage maps that other programs write, and scale them to the dimensionless u.

Axes: case, frame (time), row (y), col (x). Whether y points up or down does not matter, as long as
the positions of the electrodes are given in the same coordinates.
"""

import glob
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from fwdecg.errors import MapsError
from fwdecg.maps import vtk_images
from fwdecg.maps.igb import read_igb
from fwdecg.maps.map_arrays import Array, read_hdf5, read_numpy, require_memory
from fwdecg.runtime.storage import absolute_path
from fwdecg.shapes import single_number

# Rest and peak in each unit. In mV they are V0 and Vfi of Fenton & Karma, Chaos 8:20 (1998).
REST_AND_PEAK = {"u": (0.0, 1.0), "mV": (-85.0, 15.0), "V": (-0.085, 0.015)}

Maps = Float32[np.ndarray, "frame row col"] | Float32[np.ndarray, "case frame row col"]
Source = str | Path | Sequence[str | Path]

_READERS: dict[str, Callable[[Path, str | None], Array]] = {
    ".npy": read_numpy,
    ".npz": read_numpy,
    ".igb": lambda path, _name: read_igb(path),
    ".igb.gz": lambda path, _name: read_igb(path),
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
}
_KINDS = ", ".join((*_READERS, *vtk_images.SUFFIXES))


def read_maps(
    path: Source,
    *,
    unit: str = "u",
    rest: float | None = None,
    peak: float | None = None,
    name: str | None = None,
) -> Maps:
    """Read the voltage maps of one or several cases and return the dimensionless u.

    u = (V - rest) / (peak - rest). The order of the axes in each format:

    - `.npy`, `.npz`, `.h5`, `.hdf5`: (frame, row, col) or (case, frame, row, col). HDF5 needs
      `fwdecg[hdf5]`. MATLAB stores its axes in reverse.
    - `.igb`, `.igb.gz` of openCARP: t is the frame, y the row, x the column; z must be 1.
    - `.vti`, `.vtk` images: y is the row, x the column. One file holds all frames, as time steps or
      along z; or each file holds one frame. They need `fwdecg[vtk]`.

    Args:
        path: a file; or, for images with one frame each, a folder, a pattern such as
            "frame_*.vti", or a list. Folders and patterns are sorted by the numbers in the names.
        unit: unit of the stored voltage V: "u" if it is dimensionless, "mV" or "V".
        rest: V at rest in that unit; by default 0, -85 mV or -0.085 V.
        peak: V at the peak of the action potential in that unit; by default 1, 15 mV or 0.015 V.
        name: array in an `.npz`, HDF5 or VTK file; by default `u` or the only one.

    Returns:
        u with the axes (frame, row, col) or (case, frame, row, col), whatever its values.

    Raises:
        MapsError: a file is missing, damaged or of unknown type, has no such array or no such axes,
            needs a package that is not installed, or more memory than there is; or the unit, rest
            or peak is invalid.
        ConfigError: the path starts with the home folder of an unknown user.
    """
    rest, peak = _scale(unit, rest, peak)
    try:
        files = _files(path)
        found = _read(files, name)
    except OSError as error:
        reason = error.strerror or error
        raise MapsError(f"{error.filename or path}: {reason}; give a readable file") from error
    source = files[0] if len(files) == 1 else files[0].parent
    _require_numbers(found, source, unit)
    if found.ndim not in (3, 4) or found.size == 0:
        raise MapsError(
            f"{source}: the array has shape {found.shape}: must be (frame, row, col), optionally "
            "preceded by an axis of cases; rearrange its axes"
        )
    require_memory(source, 4 * found.size)
    with np.errstate(over="ignore"):  # values beyond float32 become infinite
        u = np.array(found, np.float32, order="C")
    if (rest, peak) != REST_AND_PEAK["u"]:
        u -= rest
        u /= peak - rest
    return u


def holds_images(folder: Path) -> bool:
    """Return whether a folder contains VTK images."""
    return folder.is_dir() and bool(_images_in(folder))


def _read(files: Sequence[Path], name: str | None) -> Array:
    suffixes = {_suffix(path) for path in files}
    if suffixes <= set(vtk_images.SUFFIXES):
        return vtk_images.read_images(files, name)
    if len(files) > 1:
        raise MapsError(
            f"{files[0].parent}: {len(files)} files with the suffixes {', '.join(sorted(suffixes))}"
            ": only .vti and .vtk files may hold one frame each; give a single file"
        )
    (path,), (suffix,) = files, suffixes
    if suffix not in _READERS:
        raise MapsError(f"{path}: unknown suffix {suffix or '(none)'}; must be one of {_KINDS}")
    return _READERS[suffix](path, name)


def _files(path: Source) -> list[Path]:
    """Return the files of a source, in the order of the frames."""
    if not isinstance(path, str | Path):
        files = [absolute_path(each) for each in path]
        if not files:
            raise MapsError("path = []: must name at least one file")
        return files
    place = absolute_path(path)
    if place.is_dir():
        files = _images_in(place)
        if not files:
            raise MapsError(f"{path} is a folder without .vti or .vtk files; give a file")
        return files
    if not place.exists() and glob.has_magic(str(path)):
        files = _sorted(Path(found) for found in glob.glob(str(place)))  # noqa: PTH207
        if not files:
            raise MapsError(f"{path} matches no file; give another pattern")
        return files
    return [place]


def _images_in(folder: Path) -> list[Path]:
    return _sorted(each for each in folder.iterdir() if _suffix(each) in vtk_images.SUFFIXES)


def _sorted(paths: Iterable[Path]) -> list[Path]:
    """Sort paths by the numbers in their names, so that frame 10 follows frame 9."""
    return sorted(
        paths,
        key=lambda path: [
            (int(part) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", path.name)
        ],
    )


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return ".igb.gz" if name.endswith(".igb.gz") else Path(name).suffix


def _scale(unit: str, rest: float | None, peak: float | None) -> tuple[float, float]:
    if unit not in REST_AND_PEAK:
        raise MapsError(f"unit = {unit!r}: must be one of {', '.join(REST_AND_PEAK)}")
    usual_rest, usual_peak = REST_AND_PEAK[unit]
    low = usual_rest if rest is None else single_number(rest, "rest", MapsError)
    high = usual_peak if peak is None else single_number(peak, "peak", MapsError)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise MapsError(
            f"rest = {low:g} and peak = {high:g} ({unit}): must be finite, with the peak above rest"
        )
    return low, high


def _require_numbers(found: Array, source: Path, unit: str) -> None:
    if found.dtype.kind not in "iuf":
        raise MapsError(
            f"{source} holds {found.dtype} values: maps must be floating-point or whole numbers; "
            "save the voltage alone"
        )
    if unit == "u" and found.dtype.kind != "f":
        raise MapsError(
            f"{source} holds {found.dtype} values: dimensionless maps must be floating-point, 0 at "
            'rest and about 1 when excited; give the unit, "mV" or "V"'
        )
