"""How a sheet lies in memory for the solver."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from fwdecg.shapes import Field, Field32, Mask

LANES = 16  # float32 in the widest vector of today's processors
TILE = LANES  # rows and columns of a tile, in which work is counted out

Flat = Float32[np.ndarray, " cell"]


class Layout(NamedTuple):
    """How a sheet lies in memory: row-major and flat, in a rim that does not conduct.

    The rim gives every cell eight neighbours; at the end of a row it is that at the start of the
    next, and behind the last row there is one more. A row starts on a whole vector and is an odd
    number of them long: with an even one the rows would contend for the same places in a cache.
    """

    rows: int
    cols: int

    @property
    def stride(self) -> int:
        """Distance of a cell from the one below it."""
        vectors = 1 + -(-self.cols // LANES)
        return (vectors | 1) * LANES

    def zeros(self) -> Flat:
        """An array of this layout, its first element at the start of a vector in memory."""
        size = (self.rows + 2) * self.stride + LANES
        spare = np.zeros(size + LANES, dtype=np.float32)
        offset = -(spare.ctypes.data // spare.itemsize) % LANES
        return spare[offset : offset + size]

    def laid_out(self, field: Field | Mask) -> Flat:
        """A field of the sheet in this layout, 0 outside; a smaller one stands at the top left."""
        flat = self.zeros()
        rows, cols = field.shape
        self._inner(flat)[:rows, :cols] = field
        return flat

    def view(self, flat: Flat) -> Field32:
        """The sheet without its rim."""
        return self._inner(flat)[:, : self.cols]

    def _inner(self, flat: Flat) -> Field32:
        return flat[:-LANES].reshape(self.rows + 2, self.stride)[1:-1, LANES:]
