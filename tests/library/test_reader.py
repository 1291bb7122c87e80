import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from fwdecg.cases.splits import ALL, SHIFTS, SPLITS, splits_of
from fwdecg.errors import LibraryError, ResultError
from fwdecg.library.reader import open_library
from fwdecg.library.schema import tensor_column


@pytest.fixture
def root(small_library, tmp_path):
    shutil.copytree(small_library.store.folder, tmp_path / "library")
    return tmp_path / "library"


def test_splits_are_disjoint_and_complete(root):
    library = open_library(root)
    tables = [library.table(split, ["case_id"]) for split in SPLITS]
    ids = [set(table["case_id"].to_pylist()) for table in tables]
    assert sum(len(i) for i in ids) == len(set.union(*ids)) == 10
    assert [library.count(split) for split in SPLITS] == [len(i) for i in ids]
    assert library.table(ALL, ["case_id"])["case_id"].to_pylist() == list(range(10))
    assert library.count(ALL) == 10


def test_statistics_describe_the_training_split(root):
    library = open_library(root)
    table = library.table("train")
    u = tensor_column(table, "u").astype(float)
    phi_e = tensor_column(table, "phi_e").astype(float)
    found = library.statistics
    assert (found.u_mean, found.u_spread) == pytest.approx((u.mean(), u.std()))
    np.testing.assert_allclose(found.phi_e_mean, phi_e.mean(axis=(0, 2)))
    np.testing.assert_allclose(found.phi_e_spread, phi_e.std(axis=(0, 2)))
    assert found.cases == 8


def test_the_configuration_is_restored(root, small_config):
    config = open_library(root).config
    assert config.recording == small_config.recording
    assert config.tissue == small_config.tissue


MANIFEST, PART = "manifest.json", "cases/cases-000000-000004.parquet"


@pytest.mark.parametrize(
    ("file", "change", "kind", "message"),
    [
        (MANIFEST, "delete", ResultError, "manifest.json is missing"),
        (MANIFEST, "truncate", ResultError, "manifest.json is damaged"),
        (MANIFEST, {"schema_version": 99}, LibraryError, "reads 1; install a newer fwdecg"),
        (MANIFEST, {"schema_version": 0}, LibraryError, "reads 1; build it again"),
        (MANIFEST, {"counts": {}}, LibraryError, "manifest.json is damaged"),
        (MANIFEST, {"config": None}, LibraryError, "manifest.json is damaged"),
        (MANIFEST, {"parts": ["cases/part.parquet"]}, LibraryError, "manifest.json is damaged"),
        (PART, "delete", LibraryError, "has 0 bytes, but its manifest says"),
        (PART, "truncate", LibraryError, "delete the file and build the library again"),
        ("statistics.json", "delete", ResultError, "statistics.json is missing"),
    ],
)
def test_opening_a_damaged_library_names_the_fault(root, file, change, kind, message):
    content = (root / file).read_bytes()
    (root / file).unlink()
    if change == "truncate":
        (root / file).write_bytes(content[: len(content) // 2])
    elif change != "delete":
        (root / file).write_text(json.dumps(json.loads(content) | change))
    with pytest.raises(kind, match=message):
        open_library(root)


def test_a_missing_library_is_named(tmp_path):
    with pytest.raises(LibraryError, match="no such library; build it with the job build_library"):
        open_library(tmp_path / "library")


def test_an_unexpected_configuration_is_logged(root, small_config, caplog):
    open_library(root, small_config)
    assert not caplog.messages
    open_library(root, replace(small_config, seed=7, cases=1000))
    (message,) = caplog.messages
    assert "was built with a different library.seed; the value it was built with applies" in message


def test_reading_a_damaged_part_is_an_error(root):
    content = bytearray((root / PART).read_bytes())
    content[100:2000] = bytes(1900)
    (root / PART).write_bytes(content)
    library = open_library(root)
    with pytest.raises(LibraryError, match="a part cannot be read"):
        library.table("train")
    with pytest.raises(LibraryError, match="a part cannot be read"):
        list(library.batches("train", ["u"]))


def test_an_empty_split_is_refused(root):
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["counts"]["ok"]["test"]["all"] = 0
    (root / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(LibraryError, match="has no test case; raise library.cases"):
        open_library(root).require_cases("test")


def test_each_shift_is_a_separate_test_split(regular_and_shifted_library):
    regular, shifted = regular_and_shifted_library
    assert set(shifted.manifest["counts"]["ok"]) == {*splits_of(SHIFTS), "all"}
    assert shifted.count("all") == sum(shifted.count(split) for split in splits_of(SHIFTS)) == 70
    for split in SPLITS:
        tables = [library.table(split) for library in (regular, shifted)]
        assert tables[0].equals(tables[1])
    for shift in SHIFTS:
        table = shifted.table(f"test_{shift}")
        assert table.num_rows == shifted.count(f"test_{shift}") == 5
    with pytest.raises(LibraryError, match="has no split test_stimulus, only train, validation"):
        regular.table("test_stimulus")


def test_statistics_exclude_shifted_cases(regular_and_shifted_library):
    regular, shifted = regular_and_shifted_library
    assert regular.statistics == shifted.statistics


def test_rows_contain_the_shifted_electrodes(regular_and_shifted_library):
    _, shifted = regular_and_shifted_library
    configured = np.array(shifted.config.electrodes_mm)
    for split in splits_of(SHIFTS):
        moved = tensor_column(shifted.table(split), "electrodes_mm") - configured
        expected = (1.0, -1.0, 0.5) if split == "test_electrode" else (0.0, 0.0, 0.0)
        np.testing.assert_array_equal(moved, np.broadcast_to(expected, moved.shape))
