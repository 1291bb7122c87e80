"""The animation of a case: one picture for each frame, of modest size, with a growing ECG."""

import numpy as np
from PIL import Image

from fwdecg.library.labelled_cases import load_cases
from fwdecg.pictures.animation import DPI, FRAMES_PER_SECOND, SIZE_INCH, write_animation


def test_a_picture_for_each_frame(library, tmp_path):
    (case,) = load_cases(library, [2])
    write_animation(case, tmp_path / "case.gif")
    with Image.open(tmp_path / "case.gif") as film:
        assert film.n_frames == len(case.u) == 20
        assert film.size == tuple(round(DPI * side) for side in SIZE_INCH)
        assert film.info["loop"] == 0
        assert film.info["duration"] == 1000 / FRAMES_PER_SECOND
        ink = [dark_ecg_columns(film, frame) for frame in (1, 10, 19)]
    assert ink[0] < ink[1] < ink[2]
    # A paper case takes 3 MB; this case has an eighth of its frames.
    assert (tmp_path / "case.gif").stat().st_size < 3e6 / 8


def dark_ecg_columns(film: Image.Image, frame: int) -> int:
    """Number of pixel columns with dark ink inside the axes of the ECG."""
    film.seek(frame)
    grey = np.asarray(film.convert("L"))
    height, width = grey.shape
    ecg = grey[int(0.72 * height) : int(0.86 * height), int(0.2 * width) : int(0.97 * width)]
    return int((ecg < 100).any(axis=0).sum())
