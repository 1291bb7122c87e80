"""Each difference between the files and the manifest is reported."""

import json
import shutil

import pytest

from fwdecg.library.check.fault import Check
from fwdecg.library.check.inventory import check_files
from fwdecg.library.paths import Part
from fwdecg.runtime.storage import Store

FIRST, SECOND, LAST, OVERLAPPING = Part(0, 4), Part(4, 8), Part(8, 10), Part(2, 6)


@pytest.fixture
def check(root, run_check):
    def run():
        manifest = json.loads((root / "manifest.json").read_text())
        inventory, faults = run_check(check_files, Store.at(root), manifest)
        assert all(fault.check is Check.FILES for fault in faults)
        return inventory, [fault.line for fault in faults]

    return run


def test_intact_files_have_no_fault(check):
    inventory, faults = check()
    assert faults == []
    assert [entry.part for entry in inventory.parts] == [FIRST, SECOND, LAST]
    assert inventory.absent == inventory.quarantined == ()


def change_a_byte(root):
    content = bytearray((root / FIRST.file).read_bytes())
    content[len(content) // 2] ^= 1
    (root / FIRST.file).write_bytes(content)


def truncate(root):
    (root / SECOND.file).write_bytes((root / SECOND.file).read_bytes()[:-100])


def add_an_unlisted_part(root):
    shutil.copy(root / FIRST.file, root / Part(10, 14).file)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (change_a_byte, f"{FIRST.file}: has SHA-256"),
        (truncate, f"{SECOND.file}: has"),
        (lambda root: (root / SECOND.file).unlink(), f"{SECOND.file}: is missing; build"),
        (add_an_unlisted_part, f"{Part(10, 14).file}: is not listed in manifest.json"),
    ],
)
def test_a_damaged_file_is_reported(root, check, damage, problem):
    damage(root)
    inventory, (line,) = check()
    assert line.startswith(problem)
    assert inventory.absent == ((SECOND,) if "is missing" in line else ())


def test_overlapping_parts_are_reported(root, check, edit_json):
    parts = json.loads((root / "manifest.json").read_text())["parts"]
    shutil.copy(root / FIRST.file, root / OVERLAPPING.file)
    edit_json(root, "manifest.json", parts=[*parts, parts[0] | {"file": OVERLAPPING.file}])
    first, second = check()[1]
    assert f"{OVERLAPPING.file}: its range of cases overlaps with {FIRST.file}" in first
    assert f"{SECOND.file}: its range of cases overlaps with {OVERLAPPING.file}" in second


@pytest.mark.parametrize(
    "entry",
    [
        {"file": "../cases-000000-000004.parquet"},  # leads out of the library
        {"file": "cases/cases-000004-000004.parquet"},  # no cases
        {"cases": "4"},
        {"bytes": True},
        None,
    ],
)
def test_an_invalid_entry_is_reported_and_not_followed(root, check, edit_json, entry):
    parts = json.loads((root / "manifest.json").read_text())["parts"]
    parts[0] = None if entry is None else parts[0] | entry
    edit_json(root, "manifest.json", parts=parts)
    inventory, lines = check()
    assert lines[0].startswith("manifest.json: parts[0] is")
    assert [listed.part for listed in inventory.parts] == [SECOND, LAST]


def test_parts_that_are_no_list_are_reported(root, check, edit_json):
    edit_json(root, "manifest.json", parts="none")
    assert "manifest.json: parts must be a list" in check()[1]


@pytest.mark.parametrize(
    ("name", "content", "problems"),
    [
        ("case-000003.json", '{"case_id": 3, "error": "CaseError"}', []),
        ("case-000003.json", '{"case_id": 4}', ["case_id is 4: must be 3", "error is None: must"]),
        ("case-000003.json", "{", ["cannot be read"]),
        ("run.sh", "true", ["is not the record of a case"]),
    ],
)
def test_damaged_records_in_quarantine_are_reported(root, check, name, content, problems):
    (root / "quarantine").mkdir()
    (root / "quarantine" / name).write_text(content)
    inventory, lines = check()
    assert len(lines) == len(problems)
    for line, problem in zip(lines, problems, strict=True):
        assert line.startswith(f"quarantine/{name}: {problem}")
    assert inventory.quarantined == ((3,) if name.startswith("case") else ())
