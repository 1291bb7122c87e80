"""Array types with named axes for the NumPy arrays that modules exchange, and their conversion.

Axes: row (y, downwards), col (x, rightwards), frame (time), electrode. The origin of x and y is the
top-left corner of the sheet. Torch modules define their own axes in their module docstrings.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from fwdecg.errors import FwdEcgError

Field = Float[np.ndarray, "row col"]
Field32 = Float32[np.ndarray, "row col"]
Mask = Bool[np.ndarray, "row col"]
Frames = Float[np.ndarray, "frame row col"]
Electrodes = Float64[np.ndarray, "electrode 3"]
LeadFields = Float[np.ndarray, "electrode row col"]

# What `number_array` converts: an array, a nested list, a torch tensor or a single number.
Numbers = Any


def number_array(values: Any, name: str, error: type[FwdEcgError]) -> np.ndarray:
    """Return a user's array, list or torch tensor as a new, contiguous NumPy array of numbers.

    Args:
        values: anything that NumPy converts to an array of numbers or truth values.
        name: name of the values, for messages.
        error: class of the error that is raised.

    Raises:
        FwdEcgError: the values are masked, ragged, or no real numbers; of class `error`.
    """
    if isinstance(values, np.ma.MaskedArray):
        masked = int(np.ma.count_masked(values))
        if masked:
            raise error(
                f"{name} has {masked} masked values, which mean nothing; replace them first, for "
                "example by 0 with numpy.ma.filled"
            )
        values = values.data
    try:
        if hasattr(values, "detach"):  # a torch tensor, which may need a gradient or lie on a GPU
            values = values.detach().cpu().numpy()
        array = np.array(values, order="C")
    except (TypeError, ValueError, RuntimeError) as reason:
        raise error(f"{name} cannot be read as an array of numbers: {reason}") from reason
    if array.dtype.kind not in "biuf":
        raise error(f"{name} holds {array.dtype} values: must be real numbers")
    return array


def single_number(value: Any, name: str, error: type[FwdEcgError]) -> float:
    """Return a user's number as a float, which may be infinite or NaN.

    Args:
        value: a Python or NumPy number, or an array with no axes.
        name: name of the value, for messages.
        error: class of the error that is raised.

    Raises:
        FwdEcgError: the value is no single real number; of class `error`.
    """
    array = number_array(value, name, error)
    if array.ndim:
        raise error(f"{name} has shape {array.shape}: must be a single number")
    return float(array)
