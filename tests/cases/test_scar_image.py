"""Scar masks from arrays and image files of several depths."""

import numpy as np
import pytest
from PIL import Image

from fwdecg.cases.scar_image import scar_mask
from fwdecg.errors import TissueError

GREY = np.linspace(0, 1, 12).reshape(3, 4)


def test_pixels_beyond_the_threshold_are_scar():
    np.testing.assert_array_equal(scar_mask(GREY, threshold=0.5), GREY > 0.5)
    np.testing.assert_array_equal(scar_mask(GREY.tolist(), threshold=0.2, below=True), GREY < 0.2)


@pytest.mark.parametrize(
    ("values", "mode"),
    [
        ((255 * GREY).round().astype(np.uint8), "L"),
        ((65535 * GREY).round().astype(np.uint16), "I;16"),
        (np.repeat((255 * GREY).round().astype(np.uint8)[..., None], 3, axis=2), "RGB"),
    ],
)
def test_image_files_have_grey_values_from_0_to_1(values, mode, tmp_path):
    Image.fromarray(values).save(tmp_path / "scar.png")
    with Image.open(tmp_path / "scar.png") as image:
        assert image.mode == mode
    np.testing.assert_array_equal(scar_mask(tmp_path / "scar.png", threshold=0.4), GREY > 0.4)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read as an image: No such file"), (b"text", "is not an image file; give")],
)
def test_files_that_are_no_image_are_rejected(content, message, tmp_path):
    path = tmp_path / "scar.png"
    if content:
        path.write_bytes(content)
    with pytest.raises(TissueError, match=message) as caught:
        scar_mask(path, threshold=0.5)
    assert "\n" not in str(caught.value)


def test_a_threshold_of_nan_is_rejected():
    with pytest.raises(TissueError, match="threshold = nan: must be a grey value"):
        scar_mask(GREY, threshold=np.nan)


def test_colours_are_rejected():
    with pytest.raises(TissueError, match=r"shape \(3, 4, 3\): must be \(row, col\)"):
        scar_mask(np.zeros((3, 4, 3)), threshold=0.5)
