"""The job show_library draws the pictures of a library without Ray."""

import shutil

import pytest

PICTURES = ["case-{}.gif", "contact_sheet.png", "parameters.png"]


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_pictures_are_written_beside_the_library(small_library, run_script, tmp_path):
    shutil.copytree(small_library.store.folder, tmp_path / "library")
    ended = run_script("show_library", tmp_path / "library")
    assert ended.code == 0
    names = names_in(tmp_path / "pictures")
    assert names == [name.format(2) for name in PICTURES]
    title, *paths = ended.out.splitlines()
    assert title == "pictures of 10 cases:"
    assert sorted(paths) == [f"  {tmp_path / 'pictures' / name}" for name in names]


@pytest.mark.slow
def test_another_case_in_another_folder(small_library, run_script, tmp_path):
    library = small_library.store.folder
    before = sorted(library.parent.iterdir())
    assert run_script("show_library", library, "--case", 3, "--out", tmp_path / "own").code == 0
    assert names_in(tmp_path / "own") == [name.format(3) for name in PICTURES]
    assert sorted(library.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "missing: no such library; build it with the job build_library"),
        (["{library}", "--case", "10"], "there is no case 10 in the library, whose 10 cases"),
    ],
)
def test_invalid_input(arguments, message, small_library, run_script, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    library = small_library.store.folder
    ended = run_script("show_library", *(text.format(library=library) for text in arguments))
    assert ended.code == 2
    assert message in ended.err
    assert list(tmp_path.iterdir()) == []
