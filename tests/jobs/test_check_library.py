"""Exit codes and output of the job check_library."""

import shutil

import pytest


def test_a_sound_library(small_library, run_script):
    ended = run_script("check_library", small_library.store.folder, "--sample", 1)
    assert ended.code == 0
    for check in ("files               0  3 parts", "draws               0  10 cases"):
        assert check in ended.out
    assert "equal bit for bit" in ended.out
    assert ended.out.endswith(f"no faults in\n  {small_library.store.folder}\n")
    assert ended.err == ""


def test_a_library_with_faults(small_library, tmp_path, run_script):
    root = tmp_path / "library"
    shutil.copytree(small_library.store.folder, root)
    (root / "README.md").unlink()
    (root / "statistics.json").unlink()
    ended = run_script("check_library", root, "--sample", 0)
    assert ended.code == 1
    assert "README.md: cannot be read: README.md is missing" in ended.out
    assert "descriptions        2  " in ended.out
    assert "re-simulation       0  not checked" in ended.out
    assert ended.out.endswith(f"2 faults in\n  {root}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "missing: no such folder; give the folder that has manifest.json"),
        (["."], "it has neither manifest.json nor cases/"),
    ],
)
def test_invalid_input(arguments, message, run_script, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    ended = run_script("check_library", *arguments)
    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert message in ended.err
