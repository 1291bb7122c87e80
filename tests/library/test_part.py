import hashlib
import json
from dataclasses import replace

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from fwdecg.cases.draw import draw_case
from fwdecg.cases.simulation import simulate_case
from fwdecg.errors import CaseError
from fwdecg.library.part import CASES_PER_ROW_GROUP, publish_part
from fwdecg.library.paths import QUARANTINE_FOLDER, Part, stored_case_ids
from fwdecg.library.pending_cases import simulate_or_quarantine
from fwdecg.library.schema import tensor_column
from fwdecg.runtime.storage import Store

PUBLISHED_COLUMNS = {
    "case_id": pa.int64(),
    "condition": pa.string(),
    "split": pa.string(),
    "seed": pa.int64(),
    "u": pa.fixed_shape_tensor(pa.float16(), (8, 8, 8)),
    "phi_e": pa.fixed_shape_tensor(pa.float32(), (2, 8)),
    "diffusivity_mm2_per_ms": pa.fixed_shape_tensor(pa.float32(), (8, 8)),
    "electrodes_mm": pa.fixed_shape_tensor(pa.float64(), (2, 3)),
    "frame_interval_ms": pa.float64(),
    "solver_spacing_mm": pa.float64(),
    "solver_dt_ms": pa.float64(),
    "map_spacing_mm": pa.float64(),
    "cv_error_estimate": pa.float64(),
    "activated_fraction": pa.float64(),
    "bulk_diffusivity_mm2_per_ms": pa.float64(),
    "patch_size_mm": pa.float64(),
    "patch_fraction": pa.float64(),
}


def build_part(config, store, part, simulate=simulate_case):
    for case_id in part.case_ids:
        simulate_or_quarantine(config, store, case_id, simulate)
    return publish_part(config, store, part, stored_case_ids(store, QUARANTINE_FOLDER))


@pytest.fixture(scope="module")
def built(small_config, tmp_path_factory):
    root = tmp_path_factory.mktemp("library")
    return root, build_part(small_config, Store.at(root), Part(0, 4))


def test_pyarrow_reads_the_published_columns(built):
    root, _ = built
    table = pq.read_table(root / "cases")
    for name, kind in PUBLISHED_COLUMNS.items():
        assert table.schema.field(name).type == kind, name
        assert b"unit" in table.schema.field(name).metadata
    assert table["case_id"].to_pylist() == [0, 1, 2, 3]
    assert table["map_spacing_mm"].to_pylist() == [1.0] * 4
    electrodes = table["electrodes_mm"].combine_chunks().to_numpy_ndarray()
    np.testing.assert_array_equal(electrodes[0], [[4, 4, 5], [0, 0, 3]])


def test_a_grid_of_electrodes_is_recorded_row_by_row(small_config, tmp_path):
    recording = replace(small_config.recording, electrode_grid=(3, 2), electrode_grid_height_mm=4.0)
    record = build_part(replace(small_config, recording=recording), Store.at(tmp_path), Part(1, 2))
    table = pq.read_table(tmp_path / "cases")
    phi_e, electrodes = (
        table[name].combine_chunks().to_numpy_ndarray()[0] for name in ("phi_e", "electrodes_mm")
    )
    assert phi_e.shape == (6, 8)
    assert record.moments.shape == (3, 1 + 6)
    np.testing.assert_allclose(electrodes[:, 0], [2, 6] * 3)
    np.testing.assert_allclose(electrodes[:, 1], np.repeat([4 / 3, 4, 20 / 3], 2))
    # Case 1 has no patches and a plane wave from the left, so the outer rows are mirror images.
    np.testing.assert_allclose(phi_e[:2], phi_e[4:], rtol=1e-4, atol=1e-5)


def test_varying_d_is_stored_with_the_conducting_fraction(small_config, built, tmp_path):
    tissue = replace(
        small_config.tissue,
        remodelled_diffusivity_mm2_per_ms=(0.05, 0.09),
        diffusivity_variation=0.4,
    )
    config = replace(small_config, tissue=tissue)
    build_part(config, Store.at(tmp_path), Part(2, 3))
    table = pq.read_table(tmp_path / "cases")
    conducting = table["conducting_fraction"].combine_chunks().to_numpy_ndarray()[0]
    conducts = draw_case(config, 2).sheet.rasterise(0.25).conducts
    np.testing.assert_allclose(
        conducting, conducts.reshape(8, 4, 8, 4).mean(axis=(1, 3)), rtol=1e-6
    )
    root, record = built
    assert "conducting_fraction" not in pq.read_schema(root / record.part.file).names


def test_pandas_reads_a_part(built):
    root, _ = built
    frame = pd.read_parquet(root / "cases")
    assert list(frame["condition"]) == ["healthy", "gap_junction", "fibrosis", "combined"]
    assert np.stack(frame["u"]).reshape(4, 8, 8, 8).max() > 0.5


def test_polars_reads_a_part(built):
    root, _ = built
    frame = pl.read_parquet(f"{root}/cases/*.parquet")
    assert frame["condition"].to_list() == ["healthy", "gap_junction", "fibrosis", "combined"]
    assert np.stack(frame["phi_e"].to_list()).size == 4 * 2 * 8
    trained = pl.scan_parquet(f"{root}/cases/*.parquet").filter(pl.col("split") == "train")
    assert trained.select("case_id").collect().height == 4


def test_duckdb_reads_a_part(built):
    root, _ = built
    query = f"select condition, len(u) from '{root}/cases/*.parquet' order by case_id"
    rows = duckdb.sql(query).fetchall()
    assert rows == [(name, 512) for name in ("healthy", "gap_junction", "fibrosis", "combined")]


@pytest.mark.slow
def test_hugging_face_datasets_reads_parts_with_flat_tensors(built, monkeypatch, tmp_path):
    """The features of docs/library.md: by itself it does not know Arrow's tensors."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    root, record = built
    part = str(root / record.part.file)
    schema = pq.read_schema(part)
    flat = [(field.name, getattr(field.type, "storage_type", field.type)) for field in schema]
    options = {"data_files": part, "split": "train", "cache_dir": str(tmp_path)}
    with pytest.raises(ValueError, match="does not have a datasets dtype equivalent"):
        datasets.load_dataset("parquet", **options)
    features = datasets.Features.from_arrow_schema(pa.schema(flat))
    expected = tensor_column(pq.read_table(part), "u")
    for streaming in (False, True):
        found = datasets.load_dataset(
            "parquet", features=features, streaming=streaming, **options
        ).with_format("numpy")
        u = np.stack([case["u"].reshape(schema.field("u").type.shape) for case in found])
        np.testing.assert_array_equal(u, expected)


def test_the_record_describes_the_file(built):
    root, record = built
    content = (root / record.part.file).read_bytes()
    assert record.sha256 == hashlib.sha256(content).hexdigest()
    assert record.size_bytes == len(content)
    assert record.case_ids == (0, 1, 2, 3)
    assert record.quarantined == ()
    assert record.moments[0, 0] == 4 * 8 * 8 * 8  # all four are training cases


def test_failing_cases_are_quarantined_with_spec_and_reason(small_config, tmp_path):
    def fail(case, config):
        if case.spec.case_id == 5:
            raise CaseError("u is not finite at t = 5 ms")
        if case.spec.case_id == 6:
            raise ZeroDivisionError("unexpected")
        return simulate_case(case, config)

    record = build_part(small_config, Store.at(tmp_path), Part(4, 8), fail)
    assert record.case_ids == (4, 7)
    assert record.quarantined == (5, 6)
    content = json.loads((tmp_path / "quarantine/case-000005.json").read_text())
    assert content["error"] == "CaseError: u is not finite at t = 5 ms"
    assert content["spec"]["seed"] == draw_case(small_config, 5).spec.seed
    assert pq.read_table(tmp_path / "cases")["case_id"].to_pylist() == [4, 7]


def test_a_part_whose_cases_all_fail_has_no_file(small_config, tmp_path):
    recording = replace(small_config.recording, duration_ms=10.0, least_activated_fraction=1.0)
    config = replace(small_config, recording=recording)
    record = build_part(config, Store.at(tmp_path), Part(0, 2))
    assert record.case_ids == ()
    assert record.moments[0, 0] == 0
    assert not (tmp_path / "cases").exists()


def test_publishing_again_changes_nothing(built, small_config):
    root, record = built
    assert not list((root / ".spool").iterdir())
    before = (root / record.part.file).stat().st_mtime_ns
    again = publish_part(small_config, Store.at(root), record.part, set())
    np.testing.assert_equal(vars(again), vars(record))
    assert (root / record.part.file).stat().st_mtime_ns == before


def test_a_part_needs_all_its_cases(small_config, tmp_path):
    store = Store.at(tmp_path)
    simulate_or_quarantine(small_config, store, 0)
    with pytest.raises(FileNotFoundError, match="case-000001"):
        publish_part(small_config, store, Part(0, 2), set())
    assert not store.exists(Part(0, 2).file)


def test_row_groups_are_small_in_parts_of_any_size(small_config, tmp_path):
    store, cases = Store.at(tmp_path), 2 * CASES_PER_ROW_GROUP + 3
    # Fast cases: the plain scheme needs no calibration for each D.
    tissue = replace(small_config.tissue, remodelled_diffusivity_mm2_per_ms=(0.05, 0.09))
    solver = replace(small_config.solver, scheme="plain")
    config = replace(small_config, tissue=tissue, solver=solver)
    record = build_part(config, store, Part(0, cases))
    file = pq.ParquetFile(tmp_path / record.part.file)
    rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    assert rows == [CASES_PER_ROW_GROUP, CASES_PER_ROW_GROUP, 3]
    table = file.read()
    training = table.filter(pc.field("split") == "train")
    u = tensor_column(training, "u").astype(np.float64)
    np.testing.assert_allclose(record.moments[:, 0], (u.size, u.sum(), (u**2).sum()), rtol=1e-12)
