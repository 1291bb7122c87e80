"""The file of predictions, read back by pyarrow and pandas, and maps from NumPy files."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fwdecg.library.labelled_cases as cases_module
from fwdecg.errors import CheckpointError, MapsError, ResultError
from fwdecg.evaluation.ensemble import Ensemble, Forecast
from fwdecg.evaluation.predictions import (
    predict_library,
    predict_own_maps,
    predictions_table,
    read_maps,
    require_new,
    write_predictions,
)
from fwdecg.training.trained_surrogate import predict_maps
from fwdecg.training.training_spec import ModelSignature

FLAT = Forecast(phi_e=np.zeros((1, 2, 20), np.float32), phi_e_std=None)


@pytest.mark.parametrize("cases_per_batch", [3, 32])
def test_predictions_of_a_library(library, trained, cases, cases_per_batch, monkeypatch, tmp_path):
    monkeypatch.setattr(cases_module, "CASES_PER_BATCH", cases_per_batch)
    path = tmp_path / "new" / "ecg.parquet"
    assert predict_library(library, [trained], path, batch_size=4).cases == 10
    table = pq.read_table(path)
    assert table.column_names == ["case_id", "condition", "split", "phi_e"]
    assert table["case_id"].to_pylist() == list(range(10))
    assert tuple(table["condition"].to_pylist()) == cases.condition
    assert tuple(table["split"].to_pylist()) == cases.split
    phi_e = table["phi_e"].combine_chunks().to_numpy_ndarray()
    expected = predict_maps(trained.build(), cases.u, 10)
    np.testing.assert_allclose(phi_e, expected, rtol=1e-4, atol=1e-6)
    assert table.schema.field("phi_e").metadata[b"unit"] == b"mm/ms"
    assert table.schema.metadata[b"fwdecg.training_hash"] == b"0123456789ab"
    metrics = json.loads((path.parent / "ecg.metrics.json").read_text())
    assert metrics["cases"] == 10
    assert metrics["cases_per_second"] == pytest.approx(10 / metrics["seconds"], rel=0.2)
    found = sorted(entry.name for entry in path.parent.iterdir())
    assert found == ["ecg.metrics.json", "ecg.parquet"]


def test_predictions_of_an_ensemble(library, members, cases, tmp_path):
    path = tmp_path / "ecg.parquet"
    predict_library(library, members, path, batch_size=4)
    table = pq.read_table(path)
    assert table.column_names == ["case_id", "condition", "split", "phi_e", "phi_e_spread"]
    assert table.schema.field("phi_e_spread").metadata[b"unit"] == b"mm/ms"
    assert table.schema.metadata[b"fwdecg.epoch"] == b"3,3,3"
    forecast = Ensemble(members, 4).predict(cases.u)
    for name, expected in (("phi_e", forecast.phi_e), ("phi_e_spread", forecast.phi_e_std)):
        found = table[name].combine_chunks().to_numpy_ndarray()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_users_own_maps_are_numbered_from_0(trained, cases, tmp_path):
    path = tmp_path / "ecg.parquet"
    u = cases.u[4:7].astype(np.float32)
    assert predict_own_maps(u, [trained], path, batch_size=2).cases == 3
    frame = pq.read_table(path).to_pandas()
    assert frame["case_id"].tolist() == [0, 1, 2]
    expected = predict_maps(trained.build(), u, 2).reshape(3, -1)
    np.testing.assert_array_equal(np.stack(frame["phi_e"]), expected)


def test_an_existing_file_is_kept(library, trained, tmp_path):
    path = tmp_path / "ecg.parquet"
    path.write_text("precious")
    with pytest.raises(ResultError, match="exists: it is not overwritten"):
        predict_library(library, [trained], path, batch_size=4)
    assert path.read_text() == "precious"


def test_an_interrupted_run_leaves_no_file(trained, tmp_path):
    table = predictions_table({"case_id": np.arange(1)}, FLAT, [trained])

    def tables() -> Iterator[pa.Table]:
        yield table
        raise CheckpointError("in the middle")

    with pytest.raises(CheckpointError):
        write_predictions(tmp_path / "ecg.parquet", tables())
    assert not (tmp_path / "ecg.parquet").exists()


def test_a_folder_that_cannot_be_written(trained, tmp_path):
    (tmp_path / "file").write_text("no folder")
    table = predictions_table({"case_id": np.arange(1)}, FLAT, [trained])
    with pytest.raises(ResultError, match="cannot be written"):
        write_predictions(tmp_path / "file" / "ecg.parquet", [table])


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


def npy(array: np.ndarray) -> Save:
    def save(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, array, allow_pickle=True)

    return save


def npz(**arrays: np.ndarray) -> Save:
    def save(path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, **arrays)

    return save


@pytest.mark.parametrize(
    ("array", "dtype"), [(ONE, "f2"), (ONE, ">f4"), (TWO, ">f2"), (TWO, "f8"), (TWO, "longdouble")]
)
def test_maps_of_any_float_type_are_read(tmp_path, array, dtype):
    path = tmp_path / "maps.npy"
    npy(array.astype(dtype))(path)
    u = read_maps(path, SIGNATURE)
    assert u.shape == (array.size // 48, 3, 4, 4)
    assert u.dtype == (np.float16 if dtype == "f2" else np.float32)
    np.testing.assert_array_equal(u, array.reshape(u.shape).astype(dtype).astype(u.dtype))


@pytest.mark.parametrize("save", [npz(u=TWO), npz(maps=TWO), npz(u=TWO, time_ms=np.arange(3.0))])
def test_maps_of_an_archive_are_read(tmp_path, save):
    path = tmp_path / "maps.npz"
    save(path)
    np.testing.assert_array_equal(read_maps(path, SIGNATURE), TWO.astype(np.float32))


REFUSED = {
    "missing": (lambda path: None, "No such file"),
    "folder": (lambda path: path.mkdir(), "Is a directory"),
    "empty": (lambda path: path.write_bytes(b""), "cannot be read"),
    "text": (lambda path: path.write_text("u = 0.5"), "cannot be read"),
    "broken archive": (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(40)), "cannot be read"),
    "truncated": (
        lambda path: (npy(TWO)(path), path.write_bytes(path.read_bytes()[:-9])),
        "cannot be read",
    ),
    "pickled": (npy(np.array([{}, {}])), "cannot be read"),
    "two arrays": (npz(a=ONE, b=ONE), "contains the arrays a, b: it must contain an array named u"),
    "no array": (npz(), "(none)"),
    "records": (npy(np.zeros(3, dtype=[("u", "f4")])), "must be floating-point"),
    "a number": (npy(np.array(0.5)), "has shape ()"),
    "beyond float32": (npy(1e300 * TWO), "every value must be finite"),
}


@pytest.mark.parametrize(("save", "reason"), REFUSED.values(), ids=REFUSED)
def test_other_files_are_refused_in_one_line(tmp_path, save, reason):
    path = tmp_path / "maps.npy"
    save(path)
    with pytest.raises(MapsError) as caught:
        read_maps(path, SIGNATURE)
    message = str(caught.value)
    assert reason in message
    assert str(path) in message
    assert "\n" not in message
    assert ";" in message  # precedes the remedy


def test_an_output_that_is_no_parquet_file_is_refused(tmp_path):
    with pytest.raises(ResultError, match="give a name that ends in .parquet"):
        require_new(tmp_path / "ecg.csv")
