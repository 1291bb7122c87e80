"""Each damage to a description is reported."""

import json

import pytest

from fwdecg.library.check.descriptions import check_descriptions
from fwdecg.library.check.fault import Check
from fwdecg.runtime.storage import Store


def check(root):
    faults = []
    descriptions = check_descriptions(Store.at(root), faults.append)
    assert all(fault.check is Check.DESCRIPTIONS for fault in faults)
    return descriptions, [fault.line for fault in faults]


def test_intact_descriptions_have_no_fault(root, small_config):
    descriptions, faults = check(root)
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
        ("statistics.json", None, "cannot be read: statistics.json is missing"),
        ("statistics.json", b"[" * 100_000, "cannot be read"),
        ("statistics.json", b"[1]", "cannot be read"),
        ("config.json", b'{"seed": 1}', "differs from manifest.json in"),
    ],
)
def test_a_damaged_file_is_reported(root, file, content, problem):
    (root / file).unlink(missing_ok=True)
    if content is not None:
        (root / file).write_bytes(content)
    lines = check(root)[1]
    assert [line for line in lines if line.startswith(f"{file}: {problem}")], lines


def test_a_huge_description_is_not_loaded(root, monkeypatch):
    monkeypatch.setattr("fwdecg.library.check.descriptions.LARGEST_DESCRIPTION_BYTES", 10)
    lines = check(root)[1]
    for file in ("manifest.json", "statistics.json", "README.md"):
        assert [line for line in lines if line.startswith(f"{file}: cannot be read")]
        assert "bytes: the limit is 10" in "\n".join(lines)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"schema_version": 99}, "schema_version is 99: must be 1"),
        ({"seed": 3}, "seed is 3: config.seed is 2025"),
        ({"config": [1]}, "config is [1]: must be a JSON object"),
        ({"cases": 0}, "config is invalid: cases = 0: must be at least 1"),
    ],
)
def test_a_wrong_value_of_the_manifest_is_reported(root, edit_json, values, problem):
    edit_json(root, "manifest.json", **values)
    assert f"manifest.json: {problem}" in "\n".join(check(root)[1])


def test_a_missing_key_of_the_manifest_is_reported(root):
    manifest = json.loads((root / "manifest.json").read_text())
    del manifest["counts"]
    (root / "manifest.json").write_text(json.dumps(manifest))
    assert "manifest.json: lacks counts" in check(root)[1][0]


@pytest.mark.parametrize(
    ("section", "values", "problem"),
    [
        ("solver", {"scheme": "plain"}, "config_hash is"),
        ("solver", {"mood": 1}, "config is invalid: unknown key solver.mood"),
        ("solver", {"scheme": None}, "config lacks solver.scheme"),
        (
            "recording",
            {"duration_ms": 1e308, "frame_interval_ms": 1e-9},
            "config is invalid: cannot convert float infinity to integer",
        ),
        (
            "recording",
            {"electrode_grid": [10**9, 10**9]},
            "config is invalid: recording.electrode_grid = (1000000000, 1000000000): must be at",
        ),
    ],
)
def test_a_changed_configuration_is_reported(root, edit_json, section, values, problem):
    config = json.loads((root / "manifest.json").read_text())["config"]
    config[section] |= values
    config[section] = {name: value for name, value in config[section].items() if value is not None}
    edit_json(root, "manifest.json", config=config)
    lines = check(root)[1]
    assert [line for line in lines if line.startswith(f"manifest.json: {problem}")], lines
