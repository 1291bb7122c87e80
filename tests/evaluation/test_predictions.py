"""The file of predictions, read back by pyarrow and pandas."""

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fwdecg.library.labelled_cases as cases_module
from fwdecg.errors import CheckpointError, FwdEcgWarning, ResultError
from fwdecg.evaluation.ensemble import Ensemble, Forecast
from fwdecg.evaluation.predictions import (
    predict_library,
    predict_own_maps,
    predictions_table,
    require_new,
    write_predictions,
)
from fwdecg.maps.recording_format import own_maps
from fwdecg.training.trained_surrogate import predict_maps

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
    own = own_maps(u, frame_interval_ms=3.0, map_spacing_mm=0.5)
    with pytest.warns(FwdEcgWarning, match="the maps are taken to have .* electrodes at"):
        assert predict_own_maps(own, [trained], path, batch_size=2).cases == 3
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


def test_an_output_that_is_no_parquet_file_is_refused(tmp_path):
    with pytest.raises(ResultError, match="give a name that ends in .parquet"):
        require_new(tmp_path / "ecg.csv")
