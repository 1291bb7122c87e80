"""Memory layout of a sheet for the solver."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from fwdecg.shapes import Field, Field32, Mask

LANES = 16  # float32 values in the widest vector registers of current CPUs
TILE = LANES  # rows and columns of a tile, the unit in which tissue at rest is skipped

Flat = Float32[np.ndarray, " cell"]


class PaddedGrid(NamedTuple):
    """A sheet in memory: a flat, row-major float32 array with a non-conducting margin.

    The margin gives every cell eight neighbours. The left margin of each row is also the right
    margin of the row above, and one more margin follows the last row. Each row starts at a vector
    boundary and spans an odd number of vectors. With an even number, rows would compete for the
    same cache lines.
    """

    rows: int
    cols: int

    @property
    def stride(self) -> int:
        """Distance from a cell to the one below it, in elements."""
        vectors = 1 + -(-self.cols // LANES)
        return (vectors | 1) * LANES

    def zeros(self) -> Flat:
        """Return an array of zeros that starts at a vector boundary."""
        size = (self.rows + 2) * self.stride + LANES
        oversized = np.zeros(size + LANES, dtype=np.float32)
        offset = -(oversized.ctypes.data // oversized.itemsize) % LANES
        return oversized[offset : offset + size]

    def pad(self, field: Field | Mask) -> Flat:
        """Return a field in this layout, at the top left; all other elements are 0."""
        flat = self.zeros()
        rows, cols = field.shape
        self._rows(flat)[:rows, :cols] = field
        return flat

    def interior(self, flat: Flat) -> Field32:
        """Return a view of the sheet without its margin."""
        return self._rows(flat)[:, : self.cols]

    def _rows(self, flat: Flat) -> Field32:
        return flat[:-LANES].reshape(self.rows + 2, self.stride)[1:-1, LANES:]
