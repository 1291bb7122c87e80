"""Read voltage maps from files of arrays: NumPy's .npy and .npz, and HDF5."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from fwdecg.errors import MapsError
from fwdecg.runtime.memory import available_memory_bytes

MAPS_NAME = "u"  # array that is read if a file has several and none is named
ZIP_START = b"PK"  # first bytes of an .npz file

Array = Shaped[np.ndarray, "*axes"]


def read_numpy(path: Path, name: str | None) -> Array:
    """Return the array of an .npy file, mapped into memory, or an array of an .npz file.

    Args:
        path: the file, whose content tells its type.
        name: name of the array in an .npz file; by default `u` or the only one.

    Raises:
        MapsError: the file is damaged, has no such array, holds Python objects, or needs more
            memory than there is.
        OSError: the file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(ZIP_START)) != ZIP_START:
                return np.load(path, mmap_mode="r", allow_pickle=False)
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                chosen = choose_name(path, arrays.files, name)
                require_memory(path, 2 * _unpacked_bytes(arrays.zip, chosen))
                return np.asarray(arrays[chosen])
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise _unreadable(path, ".npy or .npz of plain numbers; save it with numpy.save") from error


def _unpacked_bytes(archive: zipfile.ZipFile, name: str) -> int:
    """Return the size of an array in an .npz file, whose entries usually end in .npy."""
    wanted = (name, f"{name}.npy")
    return max(entry.file_size for entry in archive.filelist if entry.filename in wanted)


def read_hdf5(path: Path, name: str | None) -> Array:
    """Return a data set of an HDF5 file.

    Args:
        path: the file.
        name: path of the data set inside the file; by default `u` or the only one.

    Raises:
        MapsError: h5py is not installed, or as for `read_numpy`.
        OSError: the file cannot be opened.
    """
    try:
        import h5py  # noqa: PLC0415  # optional
    except ImportError as error:
        raise missing_extra(path, "hdf5") from error
    with path.open("rb"):  # raises the usual errors of a missing file
        pass
    try:
        with h5py.File(path, "r") as file:
            found: list[str] = []
            file.visititems(
                lambda key, item: found.append(key) if isinstance(item, h5py.Dataset) else None
            )
            data = file[choose_name(path, found, name)]
            require_memory(path, data.size * (data.dtype.itemsize + 4))
            return np.asarray(data[()])
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise _unreadable(path, "HDF5; write it again with h5py") from error


def choose_name(path: Path, found: Sequence[str], name: str | None) -> str:
    """Return the name of the array with the maps.

    Raises:
        MapsError: the wanted array is missing, or none is named and there are several or none.
    """
    listed = ", ".join(found) or "(none)"
    if name is not None:
        wanted = name.strip("/")
        if wanted not in found:
            raise MapsError(f"{path} has no array {name}, only {listed}; give name as one of them")
        return wanted
    if MAPS_NAME not in found and len(found) != 1:
        raise MapsError(
            f"{path} contains the arrays {listed}: it must contain an array named {MAPS_NAME}, or "
            f"a single array; save the maps as {MAPS_NAME}, or give name"
        )
    return MAPS_NAME if MAPS_NAME in found else found[0]


def require_memory(path: Path, needed_bytes: int) -> None:
    """Raise MapsError if reading a file needs more memory than there is."""
    available_bytes = available_memory_bytes()
    if needed_bytes > available_bytes:
        raise MapsError(
            f"{path} needs {needed_bytes / 1e9:.3g} GB of memory, {available_bytes / 1e9:.3g} GB "
            "are available: the maps must fit; read fewer cases or frames at a time"
        )


def missing_extra(path: Path, extra: str) -> MapsError:
    """Return the error for a file whose reader is not installed."""
    return MapsError(
        f"{path} cannot be read: an optional package is missing; install fwdecg[{extra}]"
    )


def _unreadable(path: Path, kind: str) -> MapsError:
    return MapsError(f"{path} cannot be read as {kind}")
