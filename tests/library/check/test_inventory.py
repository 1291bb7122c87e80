"""Each difference between the files and the manifest is reported."""

import json
import shutil

import pytest

from fwdecg.library.check.fault import Check
from fwdecg.library.check.inventory import check_files
from fwdecg.library.paths import Part
from fwdecg.runtime.storage import Store

FIRST, SECOND = Part(0, 4), Part(4, 8)


def check(root):
    faults = []
    manifest = json.loads((root / "manifest.json").read_text())
    inventory = check_files(Store.at(root), manifest, faults.append)
    assert all(fault.check is Check.FILES for fault in faults)
    return inventory, [fault.line for fault in faults]


def test_intact_files_have_no_fault(root):
    inventory, faults = check(root)
    assert faults == []
    assert [entry.part for entry in inventory.parts] == [FIRST, SECOND, Part(8, 10)]
    assert inventory.absent == inventory.quarantined == ()


def test_a_changed_byte_is_reported(root):
    content = bytearray((root / FIRST.file).read_bytes())
    content[len(content) // 2] ^= 1
    (root / FIRST.file).write_bytes(content)
    (line,) = check(root)[1]
    assert line.startswith(f"{FIRST.file}: has SHA-256")
    assert "the manifest says" in line


def test_a_truncated_part_is_reported(root):
    content = (root / SECOND.file).read_bytes()[:-100]
    (root / SECOND.file).write_bytes(content)
    (line,) = check(root)[1]
    assert line.startswith(f"{SECOND.file}: has {len(content)} bytes: the manifest says")


def test_a_missing_part_is_reported(root):
    (root / SECOND.file).unlink()
    inventory, (line,) = check(root)
    assert line.startswith(f"{SECOND.file}: is missing; build the library again")
    assert inventory.absent == (SECOND,)


def test_an_unlisted_part_is_reported(root):
    shutil.copy(root / FIRST.file, root / "cases/cases-000010-000014.parquet")
    (line,) = check(root)[1]
    assert line.startswith("cases/cases-000010-000014.parquet: is not listed in manifest.json")


def test_overlapping_parts_are_reported(root, edit_json):
    parts = json.loads((root / "manifest.json").read_text())["parts"]
    shutil.copy(root / FIRST.file, root / Part(2, 6).file)
    edit_json(root, "manifest.json", parts=[*parts, parts[0] | {"file": Part(2, 6).file}])
    lines = check(root)[1]
    assert len(lines) == 2
    assert f"{Part(2, 6).file}: its range of cases overlaps with {FIRST.file}" in lines[0]
    assert f"{SECOND.file}: its range of cases overlaps with {Part(2, 6).file}" in lines[1]


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
def test_an_invalid_entry_is_reported_and_not_followed(root, edit_json, entry):
    parts = json.loads((root / "manifest.json").read_text())["parts"]
    parts[0] = None if entry is None else parts[0] | entry
    edit_json(root, "manifest.json", parts=parts)
    inventory, lines = check(root)
    assert lines[0].startswith("manifest.json: parts[0] is")
    assert [listed.part for listed in inventory.parts] == [SECOND, Part(8, 10)]


def test_parts_that_are_no_list_are_reported(root, edit_json):
    edit_json(root, "manifest.json", parts="none")
    assert "manifest.json: parts must be a list" in check(root)[1]


@pytest.mark.parametrize(
    ("name", "content", "problems"),
    [
        ("case-000003.json", '{"case_id": 3, "error": "CaseError"}', []),
        ("case-000003.json", '{"case_id": 4}', ["case_id is 4: must be 3", "error is None: must"]),
        ("case-000003.json", "{", ["cannot be read"]),
        ("run.sh", "true", ["is not the record of a case"]),
    ],
)
def test_damaged_records_in_quarantine_are_reported(root, name, content, problems):
    (root / "quarantine").mkdir()
    (root / "quarantine" / name).write_text(content)
    inventory, lines = check(root)
    assert len(lines) == len(problems)
    for line, problem in zip(lines, problems, strict=True):
        assert line.startswith(f"quarantine/{name}: {problem}")
    assert inventory.quarantined == ((3,) if name.startswith("case") else ())
