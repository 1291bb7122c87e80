"""Pictures of a library: which cases are shown, and where the pictures lie."""

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pyarrow as pa

from fwdecg.cases.conditions import CONDITIONS, FIBROSIS
from fwdecg.cases.splits import ALL
from fwdecg.errors import LibraryError, ResultError
from fwdecg.library.labelled_cases import load_cases
from fwdecg.library.paths import CASES_FOLDER
from fwdecg.library.reader import Library
from fwdecg.library.schema import CASE_ID, CONDITION
from fwdecg.pictures.animation import write_animation
from fwdecg.pictures.contact_sheet import draw_contact_sheet
from fwdecg.pictures.parameter_histograms import COLUMNS, draw_parameters
from fwdecg.pictures.style import save
from fwdecg.runtime.storage import STAGING, Store

SHEET, PARAMETERS = "contact_sheet.png", "parameters.png"
CASES_A_CONDITION = 3  # on the contact sheet


def draw_library(library: Library, folder: Path, case_id: int | None = None) -> list[Path]:
    """Draw a contact sheet, histograms of the parameters and an animation of one case.

    However many cases there are, the maps of a few are in memory; of the others, the parameters.

    Args:
        library: whose cases are drawn.
        folder: of the pictures; earlier ones are replaced.
        case_id: the case that moves; by default the first with fibrosis, or else the first.

    Returns:
        The paths of the pictures.

    Raises:
        LibraryError: there is no such case, or a part cannot be read.
        ResultError: the folder is that of the cases, or cannot be written.
    """
    _require_elsewhere(folder, library)
    table = library.table(ALL, COLUMNS)
    (moving,) = load_cases(library, [moving_case(table, case_id)])
    sheet = load_cases(library, sheet_cases(table))
    pictures = {
        SHEET: partial(save, draw_contact_sheet(sheet)),
        PARAMETERS: partial(save, draw_parameters(table)),
        f"case-{moving.case_id}.gif": partial(write_animation, moving),
    }
    _publish(folder, pictures)
    return [folder / name for name in pictures]


def sheet_cases(table: pa.Table) -> list[int]:
    """The first cases of each condition that has any: random draws, none of them selected."""
    return [
        case_id
        for condition in CONDITIONS
        for case_id in _case_ids(table, condition.name)[:CASES_A_CONDITION]
    ]


def moving_case(table: pa.Table, asked: int | None = None) -> int:
    """The case asked for; by default the first with fibrosis, or else the first.

    Raises:
        LibraryError: there is no such case.
    """
    all_ids = table[CASE_ID].to_pylist()
    if asked is None:
        return (_case_ids(table, FIBROSIS.name) or all_ids)[0]
    if asked not in all_ids:
        raise LibraryError(
            f"there is no case {asked} in the library, whose {len(all_ids)} cases are numbered "
            f"from {all_ids[0]} to {all_ids[-1]}; quarantined ones cannot be drawn"
        )
    return asked


def _case_ids(table: pa.Table, condition: str) -> list[int]:
    names, ids = table[CONDITION].to_pylist(), table[CASE_ID].to_pylist()
    return [case_id for case_id, name in zip(ids, names, strict=True) if name == condition]


def _require_elsewhere(folder: Path, library: Library) -> None:
    """Keep pictures from among the parts, where readers of the whole folder would stumble."""
    root = library.store.folder
    if root is not None and folder.resolve().is_relative_to((root / CASES_FOLDER).resolve()):
        raise ResultError(f"{folder}: only the library's parts belong there; choose another folder")


def _publish(folder: Path, pictures: Mapping[str, Callable[[Path], None]]) -> None:
    try:
        for name, write in pictures.items():
            Store.at(folder).publish_with(name, write)
    except OSError as error:
        reason = error.strerror or error
        raise ResultError(f"{folder} cannot be written: {reason}; choose another") from error
    with contextlib.suppress(OSError):  # the folder is the user's: leave no empty one behind
        (folder / STAGING).rmdir()
