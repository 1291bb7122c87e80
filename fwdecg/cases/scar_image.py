"""Scar masks from images and grey-scale arrays, such as late-enhancement MRI."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from fwdecg.errors import TissueError
from fwdecg.shapes import Mask, Numbers, number_array, single_number


def scar_mask(image: str | Path | Numbers, *, threshold: float, below: bool = False) -> Mask:
    """Return the mask of an image's pixels that are brighter than a threshold.

    Args:
        image: path of an image file, whose grey values run from 0 (black) to 1 (white), or an array
            (row, col) of any values.
        threshold: grey value above which the tissue is scar.
        below: whether the pixels below the threshold are scar instead.

    Raises:
        TissueError: the file cannot be read as an image, or the array is not (row, col) of finite
            values, or the threshold is no number.
    """
    grey = _read_image(Path(image)) if isinstance(image, str | Path) else image
    values = number_array(grey, "image", TissueError)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise TissueError(
            f"image has shape {values.shape}: must be (row, col) with finite values; convert "
            "colours to grey first"
        )
    level = single_number(threshold, "threshold", TissueError)
    if np.isnan(level):
        raise TissueError("threshold = nan: must be a grey value")
    return values < level if below else values > level


def _read_image(path: Path) -> Float[np.ndarray, "row col"]:
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415  # needed for image files only

    try:
        with Image.open(path) as image:
            deep = image.mode.startswith("I")  # 16 bits, which a conversion to "L" would cut off
            grey = image if deep else image.convert("L")
            return np.asarray(grey, dtype=np.float64) / (65535 if deep else 255)
    except UnidentifiedImageError as error:
        raise TissueError(f"{path} is not an image file; give a PNG, JPEG or TIFF") from error
    except (OSError, SyntaxError) as error:  # PIL reports some damaged files as syntax errors
        reason = getattr(error, "strerror", None) or error
        raise TissueError(f"{path} cannot be read as an image: {reason}") from error
