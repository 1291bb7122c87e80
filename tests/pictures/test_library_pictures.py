"""Pictures of whole libraries: which cases they show, and where they lie."""

import dataclasses
from pathlib import Path

import matplotlib as mpl
import pyarrow as pa
import pytest

import fwdecg.pictures.library_pictures as module
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.pacing import PacingConfig
from fwdecg.errors import LibraryError, ResultError
from fwdecg.library.manifest import publish_descriptions
from fwdecg.library.part import build_part
from fwdecg.library.paths import Part
from fwdecg.library.reader import Library, open_library
from fwdecg.pictures.library_pictures import draw_library, moving_case, sheet_cases
from fwdecg.runtime.cost import Cost
from fwdecg.runtime.storage import Store


def _table(**conditions: list[int]) -> pa.Table:
    pairs = sorted((case_id, name) for name, ids in conditions.items() for case_id in ids)
    ids, names = zip(*pairs, strict=True)
    return pa.table({"case_id": list(ids), "condition": list(names)})


def test_the_first_cases_of_each_condition() -> None:
    table = _table(fibrosis=[2, 4, 7, 9], healthy=[0, 5], combined=[3, 8, 13, 18])
    assert sheet_cases(table) == [0, 5, 2, 4, 7, 3, 8, 13]


def test_the_case_that_moves() -> None:
    table = _table(fibrosis=[7, 9], healthy=[0, 5])
    assert moving_case(table) == 7
    assert moving_case(table, 5) == 5
    assert moving_case(_table(healthy=[5, 10])) == 5
    for missing in (1, -1, 10**30):
        with pytest.raises(LibraryError, match=f"no case {missing} in the library"):
            moving_case(table, missing)


def test_pictures_lie_where_they_are_asked_for(library: Library, tmp_path: Path) -> None:
    before = dict(mpl.rcParams), sorted(library.store.folder.rglob("*"))
    paths = draw_library(library, tmp_path / "new" / "pictures")
    assert [path.name for path in paths] == ["contact_sheet.png", "parameters.png", "case-2.gif"]
    assert sorted((tmp_path / "new" / "pictures").iterdir()) == sorted(paths)
    assert (dict(mpl.rcParams), sorted(library.store.folder.rglob("*"))) == before


def test_few_cases_are_read(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    read = module.load_cases
    monkeypatch.setattr(
        module, "load_cases", lambda library, ids: asked.append(ids) or read(library, ids)
    )
    draw_library(library, tmp_path, 9)
    assert asked == [[9], [0, 5, 1, 6, 2, 4, 7, 3, 8]]


@pytest.mark.parametrize("protocol", ["planar", "focal"])
def test_a_library_of_one_case(small_config: LibraryConfig, tmp_path: Path, protocol: str) -> None:
    config = dataclasses.replace(small_config, cases=1, pacing=PacingConfig(protocol=protocol))
    record = build_part(config, Store.at(tmp_path / "library"), Part(0, 1))
    publish_descriptions(config, Store.at(tmp_path / "library"), [record], cost=Cost())
    paths = draw_library(open_library(tmp_path / "library"), tmp_path / "pictures")
    assert paths[-1].name == "case-0.gif"
    assert all(path.stat().st_size > 1000 for path in paths)


def test_not_among_the_cases(library: Library) -> None:
    for folder in (library.store.folder / "cases", library.store.folder / "cases" / "pictures"):
        with pytest.raises(ResultError, match="choose another folder"):
            draw_library(library, folder)


def test_a_folder_that_cannot_be_made(library: Library, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResultError, match="cannot be written: Not a directory; choose another"):
        draw_library(library, tmp_path / "file" / "pictures")
