"""The job's exit codes and what it prints."""

import runpy
import shutil
from pathlib import Path

import pytest

JOB = str(Path(__file__).parents[2] / "jobs/check_library.py")


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", [JOB, *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(JOB, run_name="__main__")
    return end.value.code


def test_a_sound_library(small_library, monkeypatch, capsys):
    assert run(monkeypatch, small_library.store.folder, "--sample", 1) == 0
    said = capsys.readouterr()
    for check in ("files               0  3 parts", "draws               0  10 cases"):
        assert check in said.out
    assert "equal bit for bit" in said.out
    assert said.out.endswith(f"no faults in\n  {small_library.store.folder}\n")
    assert said.err == ""


def test_a_library_with_faults(small_library, tmp_path, monkeypatch, capsys):
    root = tmp_path / "library"
    shutil.copytree(small_library.store.folder, root)
    (root / "README.md").unlink()
    (root / "statistics.json").unlink()
    assert run(monkeypatch, root, "--sample", 0) == 1
    said = capsys.readouterr().out
    assert "README.md: cannot be read: README.md is missing" in said
    assert "descriptions        2  " in said
    assert "re-simulation       0  not checked" in said
    assert said.endswith(f"2 faults in\n  {root}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: LIBRARY"),
        (["missing"], "missing: no such folder; give the folder that has manifest.json"),
        (["."], "is no library: it has neither manifest.json nor cases/"),
        ([".", "--sample", "some"], "argument --sample: invalid int value: 'some'"),
        ([".", "--sample", "-1"], "sample = -1"),
    ],
)
def test_what_is_no_library(arguments, message, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert message in said.err


def test_help(monkeypatch, capsys):
    assert run(monkeypatch, "--help") == 0
    said = capsys.readouterr().out
    for word in ("LIBRARY", "--sample N", "--seed S", "Exit code"):
        assert word in said
