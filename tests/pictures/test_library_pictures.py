"""The pictures of a library: which cases they show, and where they are written."""

import matplotlib as mpl
import numpy as np
import pytest

import fwdecg.pictures.library_pictures as module
from fwdecg.errors import LibraryError, ResultError
from fwdecg.pictures.library_pictures import (
    animated_case,
    contact_sheet_cases,
    write_library_pictures,
)


def table(**conditions: list[int]) -> dict[str, np.ndarray]:
    pairs = sorted((case_id, name) for name, ids in conditions.items() for case_id in ids)
    ids, names = zip(*pairs, strict=True)
    return {"case_id": np.array(ids), "condition": np.array(names)}


def test_the_contact_sheet_shows_the_first_cases_of_each_condition():
    cases = table(fibrosis=[2, 4, 7, 9], healthy=[0, 5], combined=[3, 8, 13, 18])
    assert contact_sheet_cases(cases) == [0, 5, 2, 4, 7, 3, 8, 13]


def test_the_animated_case():
    cases = table(fibrosis=[7, 9], healthy=[0, 5])
    assert animated_case(cases) == 7
    assert animated_case(cases, 5) == 5
    assert animated_case(table(healthy=[5, 10])) == 5
    for missing in (1, -1, 10**30):
        with pytest.raises(LibraryError, match=f"no case {missing} in the library"):
            animated_case(cases, missing)


def test_pictures_are_written_and_only_shown_cases_are_read(library, tmp_path, monkeypatch):
    requested = []
    read = module.load_cases
    monkeypatch.setattr(
        module, "load_cases", lambda library, ids: requested.append(ids) or read(library, ids)
    )
    before = dict(mpl.rcParams), sorted(library.store.folder.rglob("*"))
    paths = write_library_pictures(library, tmp_path / "new" / "pictures", 9)
    assert requested == [[9], [0, 5, 1, 6, 2, 4, 7, 3, 8]]
    assert [path.name for path in paths] == ["contact_sheet.png", "parameters.png", "case-9.gif"]
    assert sorted((tmp_path / "new" / "pictures").iterdir()) == sorted(paths)
    assert (dict(mpl.rcParams), sorted(library.store.folder.rglob("*"))) == before


def test_the_folder_of_the_parts_is_refused(library):
    for folder in (library.store.folder / "cases", library.store.folder / "cases" / "pictures"):
        with pytest.raises(ResultError, match="choose another folder"):
            write_library_pictures(library, folder)


def test_a_folder_that_cannot_be_created(library, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResultError, match="cannot be written: Not a directory; choose another"):
        write_library_pictures(library, tmp_path / "file" / "pictures")
