"""Pictures of a library by one command, without Ray."""

import runpy
import shutil
from pathlib import Path

import pytest

JOB = Path(__file__).parents[2] / "jobs/show_library.py"
PICTURES = ["case-{}.gif", "contact_sheet.png", "parameters.png"]


def show(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", [JOB.name, *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(JOB), run_name="__main__")
    assert end.value.code == 0


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_pictures_lie_beside_the_library(small_library, monkeypatch, capsys, tmp_path):
    shutil.copytree(small_library.store.folder, tmp_path / "library")
    show(monkeypatch, tmp_path / "library")
    names = names_in(tmp_path / "pictures")
    assert names == [name.format(2) for name in PICTURES]
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "pictures of 10 cases:"
    assert sorted(said[1:]) == [f"  {tmp_path / 'pictures' / name}" for name in names]


def test_another_case_in_another_folder(small_library, monkeypatch, tmp_path):
    beside = sorted(small_library.store.folder.parent.iterdir())
    show(monkeypatch, small_library.store.folder, "--case", "3", "--out", tmp_path / "mine")
    assert names_in(tmp_path / "mine") == [name.format(3) for name in PICTURES]
    assert sorted(small_library.store.folder.parent.iterdir()) == beside
