"""Maps from NumPy files: every accepted form, and a clear refusal of every other."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fwdecg.errors import MapsError
from fwdecg.evaluation.own_maps import read_maps
from fwdecg.training.training_spec import ModelSignature

SIGNATURE = ModelSignature(
    frames=3,
    map_pixels=4,
    electrodes_mm=((0.0, 0.0, 5.0),),
    frame_interval_ms=5.0,
    library_hash="l",
    training_hash="t",
)
ONE = np.linspace(0, 1, 48).reshape(3, 4, 4)
TWO = np.stack((ONE, 1 - ONE))
Save = Callable[[Path], None]


def _npy(array: np.ndarray) -> Save:
    def save(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, array, allow_pickle=True)

    return save


def _npz(**arrays: np.ndarray) -> Save:
    def save(path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, **arrays)

    return save


@pytest.mark.parametrize("dtype", ["f2", ">f2", "f4", ">f4", "f8", "longdouble"])
@pytest.mark.parametrize("array", [ONE, TWO])
def test_any_float_type(tmp_path: Path, array: np.ndarray, dtype: str) -> None:
    path = tmp_path / "maps.npy"
    _npy(array.astype(dtype))(path)
    u = read_maps(path, SIGNATURE)
    assert u.shape == (array.size // 48, 3, 4, 4)
    assert u.dtype == (np.float16 if dtype == "f2" else np.float32)
    np.testing.assert_array_equal(u, array.reshape(u.shape).astype(dtype).astype(u.dtype))


@pytest.mark.parametrize("save", [_npz(u=TWO), _npz(maps=TWO), _npz(u=TWO, time_ms=np.arange(3.0))])
def test_archives(tmp_path: Path, save: Save) -> None:
    path = tmp_path / "maps.npz"
    save(path)
    np.testing.assert_array_equal(read_maps(path, SIGNATURE), TWO.astype(np.float32))


def _with(value: float) -> np.ndarray:
    array = TWO.copy()
    array[1, 2, 3, 3] = value
    return array


BAD = {
    "missing": (lambda path: None, "No such file"),
    "folder": (lambda path: path.mkdir(), "Is a directory"),
    "empty": (lambda path: path.write_bytes(b""), "cannot be read"),
    "text": (lambda path: path.write_text("u = 0.5"), "cannot be read"),
    "broken archive": (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(40)), "cannot be read"),
    "cut short": (
        lambda path: (_npy(TWO)(path), path.write_bytes(path.read_bytes()[:-9])),
        "cannot be read",
    ),
    "pickled": (_npy(np.array([{}, {}])), "cannot be read"),
    "two arrays": (_npz(a=ONE, b=ONE), "holds the arrays a, b: one must be named u"),
    "no array": (_npz(), "(none)"),
    "whole numbers": (_npy((TWO * 2).astype(np.int64)), "holds int64 values"),
    "complex": (_npy(TWO * 1j), "holds complex128 values"),
    "words": (_npy(np.array(["a", "b"])), "holds <U1 values"),
    "records": (_npy(np.zeros(3, dtype=[("u", "f4")])), "must be floating-point"),
    "a frame": (_npy(ONE[0]), "has shape (4, 4): must be (frame, row, col) = (3, 4, 4)"),
    "five axes": (_npy(TWO[None]), "has shape (1, 2, 3, 4, 4)"),
    "a number": (_npy(np.array(0.5)), "has shape ()"),
    "no case": (_npy(TWO[:0]), "has shape (0, 3, 4, 4)"),
    "other frames": (_npy(TWO[:, :2]), "has shape (2, 2, 4, 4)"),
    "other pixels": (_npy(TWO[..., :3]), "has shape (2, 3, 4, 3)"),
    "NaN": (_npy(_with(np.nan)), "every value must be finite"),
    "infinity": (_npy(_with(np.inf).astype(np.float16)), "every value must be finite"),
    "millivolts": (_npy(100 * TWO - 85), "from -85 to 15: u must lie within -0.5 and 1.5"),
    "beyond float32": (_npy(_with(1e300)), "every value must be finite"),
}


@pytest.mark.parametrize(("save", "reason"), BAD.values(), ids=BAD)
def test_refusals_fit_one_line(tmp_path: Path, save: Save, reason: str) -> None:
    path = tmp_path / "maps.npy"
    save(path)
    with pytest.raises(MapsError) as caught:
        read_maps(path, SIGNATURE)
    message = str(caught.value)
    assert reason in message
    assert str(path) in message
    assert "\n" not in message
    assert ";" in message  # before the remedy
