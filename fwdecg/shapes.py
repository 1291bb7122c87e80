"""Array types with named axes for the NumPy arrays that modules exchange.

Axes: row (y, downwards), col (x, rightwards), frame (time), electrode. The origin of x and y is the
top-left corner of the sheet. Torch modules define their own axes in their module docstrings.
"""

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

Field = Float[np.ndarray, "row col"]
Field32 = Float32[np.ndarray, "row col"]
Mask = Bool[np.ndarray, "row col"]
Frames = Float[np.ndarray, "frame row col"]
Electrodes = Float64[np.ndarray, "electrode 3"]
LeadFields = Float[np.ndarray, "electrode row col"]
