"""A sound library has no fault; a damaged one is reported, and nothing is changed."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.pacing import PacingConfig
from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.cases.simulation import simulate_case
from fwdecg.cases.solver_config import SolverConfig
from fwdecg.cases.tissue_config import EllipsesConfig, TissueConfig
from fwdecg.errors import CaseError, ConfigError, LibraryError
from fwdecg.library.check.fault import Check
from fwdecg.library.check.verify import check_library

FIRST, SECOND = "cases/cases-000000-000004.parquet", "cases/cases-000004-000008.parquet"
LAST = "cases/cases-000008-000010.parquet"


@pytest.fixture(scope="module")
def varied_library(varied_config, without_ray, tmp_path_factory):
    return without_ray(varied_config, tmp_path_factory.mktemp("varied"))


@pytest.fixture(scope="module")
def reentry_library(without_ray, tmp_path_factory):
    """A library of spiral waves, with slow conduction so that they fit on a small sheet."""
    slow = (0.01, 0.011)
    config = LibraryConfig(
        cases=4,
        cases_per_part=4,
        tissue=TissueConfig(
            size_mm=16.0,
            healthy_diffusivity_mm2_per_ms=slow,
            remodelled_diffusivity_mm2_per_ms=slow,
            large_patch_size_mm=(2.0, 3.0),
        ),
        pacing=PacingConfig(protocol="reentry"),
        solver=SolverConfig(cv_error=0.1),
        recording=RecordingConfig(
            duration_ms=300.0, map_pixels=8, electrodes_mm=((8.0, 8.0, 6.0),)
        ),
    )
    return without_ray(config, tmp_path_factory.mktemp("reentry"))


@pytest.fixture(scope="module")
def elliptic_library(small_config, without_ray, tmp_path_factory):
    """A library whose patches are ellipses."""
    ellipses = EllipsesConfig(small_half_axis_mm=(0.3, 0.6), large_half_axis_mm=(0.6, 1.2))
    tissue = replace(small_config.tissue, texture="ellipses", ellipses=ellipses)
    return without_ray(replace(small_config, tissue=tissue), tmp_path_factory.mktemp("elliptic"))


@pytest.fixture(scope="module")
def shifted_library(regular_and_shifted_library):
    """A library with shifted cases."""
    return regular_and_shifted_library[1]


def lines(root):
    return [fault.line for fault in check_library(root, sample=0).faults]


def all_bytes(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def seal(root):
    """Let the manifest list the files as they are now, as a forger would."""
    manifest = json.loads((root / "manifest.json").read_text())
    for entry in manifest["parts"]:
        content = (root / entry["file"]).read_bytes()
        entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (root / "manifest.json").write_text(json.dumps(manifest))


def replace_values(root, file, name, values):
    """Write a part with other values in one column, sealed."""
    table = pq.read_table(root / file)
    columns = {column: table[column] for column in table.column_names} | {name: values}
    forged = pa.table(columns, schema=table.schema)
    pq.write_table(forged, root / file, compression="zstd", use_dictionary=False)
    seal(root)


def set_value(root, file, name, row, value):
    values = pq.read_table(root / file)[name].to_pylist()
    values[row] = value
    replace_values(root, file, name, values)


def test_a_sound_library_has_no_fault_and_stays_unchanged(root):
    before = all_bytes(root)
    report = check_library(root, sample=4)
    assert report.faults == ()
    assert set(report.coverage) == set(Check)
    assert "equal bit for bit" in report.coverage[Check.SIMULATION]
    assert all_bytes(root) == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["shifted", "varied", "reentry", "elliptic"])
def test_a_sound_library_of_another_kind_has_no_fault(kind, request):
    library = request.getfixturevalue(f"{kind}_library")
    report = check_library(library.store, sample=4)
    assert report.faults == ()
    assert "equal bit for bit" in report.coverage[Check.SIMULATION]


def test_a_library_with_quarantined_cases_is_sound(small_config, without_ray, tmp_path):
    def fail(case, config):
        if case.spec.case_id in (5, 8, 9):
            raise CaseError("u is not finite at t = 5 ms")
        return simulate_case(case, config)

    without_ray(small_config, tmp_path, fail)
    assert lines(tmp_path) == []
    (tmp_path / "quarantine/case-000008.json").unlink()
    assert "case 8: in no part and not in quarantine" in "\n".join(lines(tmp_path))


def truncate(root):
    (root / SECOND).write_bytes((root / SECOND).read_bytes()[:-100])
    seal(root)


def forge_nonsense(root):
    (root / SECOND).write_bytes(b"PAR1" + bytes(range(256)) * 20 + b"PAR1")
    seal(root)


def forge_too_many_rows(root):
    shutil.copy(root / FIRST, root / LAST)  # four rows in a part of two cases
    seal(root)


def forge_a_large_part(root):
    """A few kilobytes that fill megabytes when they are decompressed."""
    replace_values(root, LAST, "condition", ["a" * 2**22, "b" * 2**22])


def drop_a_row(root):
    pq.write_table(pq.read_table(root / FIRST)[1:], root / FIRST)
    seal(root)


def repeat_a_case(root):
    set_value(root, FIRST, "case_id", 1, 9)


@pytest.mark.parametrize(
    ("damage", "messages"),
    [
        (truncate, [f"{SECOND}: cannot be read"]),
        (forge_nonsense, [f"{SECOND}: cannot be read"]),
        (forge_too_many_rows, [f"{LAST}: cannot be read: it has 4 rows, more than cases"]),
        (forge_a_large_part, [f"{LAST}: cannot be read: it has"]),
        (drop_a_row, ["case 0: in no part", f"{FIRST}: has 3 cases: the manifest says 4"]),
        (
            repeat_a_case,
            [
                f"{FIRST}, case 9: is outside the range in the part's name",
                "case 9: occurs in 2 rows",
                "case 1: in no part and not in quarantine",
            ],
        ),
    ],
)
def test_a_damaged_part_is_reported(root, damage, messages):
    damage(root)
    found = lines(root)
    for message in messages:
        assert [line for line in found if line.startswith(message)], "\n".join(found)


def test_all_faults_are_reported_at_once(root, edit_json):
    (root / "README.md").unlink()
    shutil.copy(root / FIRST, root / "cases/cases-000010-000014.parquet")
    set_value(root, FIRST, "split", 0, "test")
    set_value(root, LAST, "activated_fraction", 0, 1.1)
    edit_json(root, "statistics.json", cases=9)
    edit_json(root, "manifest.json", redraws=-1)
    found = check_library(root, sample=0).faults
    # Faults of the schema and of simulations need damage of another kind.
    assert {fault.check for fault in found} == set(Check) - {Check.SCHEMA, Check.SIMULATION}


def test_a_library_beyond_the_limits_is_not_read(root, monkeypatch):
    monkeypatch.setattr("fwdecg.library.check.limits.LARGEST_CASE_BYTES", 1e3)
    report = check_library(root)
    assert [fault.check for fault in report.faults] == [Check.VALUES]
    assert Check.VALUES not in report.coverage


def test_cases_beyond_the_limits_are_not_drawn_again(root, monkeypatch):
    monkeypatch.setattr("fwdecg.library.check.limits.LARGEST_SHEET", 1e2)
    report = check_library(root)
    assert [fault.check for fault in report.faults] == [Check.DRAWS]
    assert Check.VALUES in report.coverage
    assert Check.SIMULATION not in report.coverage


def test_the_check_survives_damaged_bytes(root):
    rng = np.random.default_rng(0)
    whole = (root / LAST).read_bytes()
    for file in (FIRST, SECOND):  # only the damaged part is of interest
        (root / file).unlink()
    for _ in range(60):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), rng.integers(1, 30)):
            content[place] = rng.integers(256)
        (root / LAST).write_bytes(content)
        manifest = json.loads((root / "manifest.json").read_text())
        manifest["parts"] = manifest["parts"][-1:]
        (root / "manifest.json").write_text(json.dumps(manifest))
        seal(root)
        check_library(root, sample=0)


JUNK = (None, True, 10**30, float("nan"), "\x1b[2J", [{}], {"a": []})


@pytest.mark.parametrize("file", ["manifest.json", "statistics.json"])
@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_the_check_survives_junk_in_a_description(root, file, junk):
    for part in (SECOND, LAST):
        (root / part).unlink()
    whole = json.loads((root / file).read_text())
    for name in whole:
        (root / file).write_text(json.dumps(whole | {name: junk}))
        found = lines(root)
        assert found or name == "code_version" or junk == whole[name]
        assert all(line.isprintable() for line in found)


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_a_place_without_a_library_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(LibraryError, match="give the folder that has"):
        check_library(tmp_path / name)


def test_a_negative_sample_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="sample = -1, seed = 0: both must be at least 0"):
        check_library(tmp_path, sample=-1)
