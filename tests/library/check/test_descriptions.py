"""Each damage to a description is reported."""

import json

import pytest

from fwdecg.library.check.descriptions import check_descriptions
from fwdecg.library.check.fault import Check
from fwdecg.runtime.storage import Store


@pytest.fixture
def check(root, run_check):
    def run():
        descriptions, faults = run_check(check_descriptions, Store.at(root))
        assert all(fault.check is Check.DESCRIPTIONS for fault in faults)
        return descriptions, [fault.line for fault in faults]

    return run


def test_intact_descriptions_have_no_fault(check, small_config):
    descriptions, faults = check()
    assert faults == []
    assert descriptions.config == small_config
    assert descriptions.statistics["cases"] == 8


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("README.md", None, "cannot be read: README.md is missing"),
        ("README.md", b"\xff\xfe\xfa", "cannot be read: 'utf-8' codec"),
        ("README.md", b"# Another library\n", "does not mention config_hash"),
        ("manifest.json", None, "cannot be read: manifest.json is missing"),
        ("statistics.json", b"[" * 100_000, "cannot be read"),
        ("statistics.json", b"[1]", "cannot be read"),
        ("config.json", b'{"seed": 1}', "differs from manifest.json in"),
    ],
)
def test_a_damaged_file_is_reported(root, check, file, content, problem):
    (root / file).unlink(missing_ok=True)
    if content is not None:
        (root / file).write_bytes(content)
    lines = check()[1]
    assert [line for line in lines if line.startswith(f"{file}: {problem}")], lines


def test_a_huge_description_is_not_loaded(check, monkeypatch):
    monkeypatch.setattr("fwdecg.library.check.descriptions.LARGEST_DESCRIPTION_BYTES", 10)
    lines = check()[1]
    assert len(lines) == 3
    assert all("bytes: the limit is 10" in line for line in lines)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("schema_version", 99, "schema_version is 99: must be 1"),
        ("seed", 3, "seed is 3: config.seed is 2025"),
        ("config", [1], "config is [1]: must be a JSON object"),
        ("cases", 0, "config is invalid: cases = 0: must be at least 1"),
        ("counts", None, "lacks counts"),
        ("config.solver.scheme", "plain", "config_hash is"),
        ("config.solver.mood", 1, "config is invalid: unknown key solver.mood"),
        ("config.solver.scheme", None, "config lacks solver.scheme"),
        ("config.recording.frame_interval_ms", 5e-324, "config is invalid: cannot convert float"),
        ("config.recording.electrode_grid", [10**9] * 2, "config is invalid: recording.electrode_"),
    ],
)
def test_a_changed_manifest_is_reported(root, check, key, value, problem):
    manifest = entries = json.loads((root / "manifest.json").read_text())
    *sections, name = key.split(".")
    for section in sections:
        entries = entries[section]
    entries[name] = value
    if value is None:
        del entries[name]
    (root / "manifest.json").write_text(json.dumps(manifest))
    lines = check()[1]
    assert [line for line in lines if line.startswith(f"manifest.json: {problem}")], lines
