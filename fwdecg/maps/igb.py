"""Read IGB files, in which openCARP writes values on a raster over time.

A header of 1024 bytes of text, `key:value` separated by white space, precedes the values. x runs
fastest, then y, z and t. Stored values count in steps: true value = value * facteur + zero. Source:
openCARP manual, "Output File Formats"; the keys are French.
"""

import gzip
import math
import zlib
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from fwdecg.errors import MapsError
from fwdecg.maps.map_arrays import require_memory

HEADER_BYTES = 1024
BYTE_ORDERS = {"little_endian": "<", "big_endian": ">"}
TYPES = {
    "byte": "u1",
    "char": "i1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "long": "i8",  # as C writes it on 64-bit Linux
    "float": "f4",
    "double": "f8",
}


@dataclass(frozen=True, kw_only=True)
class IgbHeader:
    """What the header of an IGB file says about its values.

    Attributes:
        shape: number of values along t, z, y and x.
        dtype: type of a stored value, with its byte order.
        step: true difference of two values that differ by 1 in the file; the key `facteur`.
        offset: true value of a 0 in the file; the key `zero`.
    """

    shape: tuple[int, int, int, int]
    dtype: np.dtype
    step: float
    offset: float

    @classmethod
    def parse(cls, content: bytes, path: Path) -> "IgbHeader":
        """Return the header in the first bytes of a file.

        Raises:
            MapsError: the header is incomplete, a key is missing, or its value is not allowed.
        """
        if len(content) < HEADER_BYTES:
            raise MapsError(
                f"{path} has {len(content)} bytes: the header of an IGB file has {HEADER_BYTES}; "
                "copy the file again"
            )
        text = content.decode("latin-1").replace("\0", " ").replace("\f", " ")
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        keys = dict(word.split(":", 1) for line in lines for word in line.split() if ":" in word)
        try:
            sizes = [int(keys[axis]) for axis in "tyx"]
            depth = int(keys.get("z", 1))
            dtype = np.dtype(BYTE_ORDERS[keys["systeme"]] + TYPES[keys["type"]])
            step, offset = float(keys.get("facteur", 1)), float(keys.get("zero", 0))
        except (KeyError, ValueError) as error:
            raise MapsError(
                f"{path}: the IGB header must give x, y and t as whole numbers, systeme as "
                f"{' or '.join(BYTE_ORDERS)}, and type as one of {', '.join(TYPES)}, but not "
                f"{error}; write the file again"
            ) from error
        if min(*sizes, depth) < 1 or not math.isfinite(step) or not math.isfinite(offset):
            raise MapsError(
                f"{path}: the IGB header gives x, y and t = {sizes[::-1]}, facteur = {step} and "
                f"zero = {offset}: sizes must be at least 1 and numbers finite; write the file "
                "again"
            )
        time, rows, cols = sizes
        return cls(shape=(time, depth, rows, cols), dtype=dtype, step=step, offset=offset)


def read_igb(path: Path) -> Float32[np.ndarray, "frame row col"]:
    """Return the true values of a sheet: t is the frame, y the row, x the column.

    Args:
        path: file whose name ends in .igb, or in .igb.gz if it is compressed.

    Raises:
        MapsError: the file is truncated or damaged, has several layers (z), lists the nodes of a
            mesh, or needs more memory than there is.
        OSError: the file cannot be opened.
    """
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            return _read_sheet(file, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise MapsError(f"{path} is truncated or damaged ({error}); copy it again") from error


def _read_sheet(
    file: gzip.GzipFile | BufferedReader, path: Path
) -> Float32[np.ndarray, "frame row col"]:
    header = IgbHeader.parse(file.read(HEADER_BYTES), path)
    frames, layers, rows, cols = header.shape
    if layers != 1:
        raise MapsError(
            f"{path} has z = {layers} layers: must be 1; extract the layer whose maps are wanted"
        )
    if min(rows, cols) == 1:
        raise MapsError(
            f"{path} lists {rows * cols} values in a row (x = {cols}, y = {rows}), as for the "
            "nodes of a mesh: maps need rows and columns; interpolate the nodes to a raster, or, "
            "if they lie on one, reshape them and save them with numpy.save"
        )
    count = frames * rows * cols
    require_memory(path, count * (header.dtype.itemsize + 4))
    content = file.read(count * header.dtype.itemsize)
    if len(content) < count * header.dtype.itemsize:
        whole = len(content) // (rows * cols * header.dtype.itemsize)
        raise MapsError(
            f"{path} is truncated: it holds {whole} of the {frames} frames that its header "
            "announces; copy it again, or let the simulation finish"
        )
    values = np.frombuffer(content, header.dtype).astype(np.float32)
    values *= header.step
    values += header.offset
    return values.reshape(frames, rows, cols)
