"""Choose the cases that the pictures of a library show, and write the pictures into a folder."""

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fwdecg.cases.conditions import CONDITIONS, FIBROSIS
from fwdecg.cases.splits import ALL
from fwdecg.errors import LibraryError, ResultError
from fwdecg.library.labelled_cases import load_cases
from fwdecg.library.paths import CASES_FOLDER
from fwdecg.library.reader import Library
from fwdecg.library.schema import CASE_ID, CONDITION
from fwdecg.pictures.animation import write_animation
from fwdecg.pictures.contact_sheet import plot_contact_sheet
from fwdecg.pictures.parameter_pictures import COLUMNS, CaseTable, plot_histograms
from fwdecg.runtime.storage import STAGING, Store

CONTACT_SHEET_FILE, PARAMETERS_FILE = "contact_sheet.png", "parameters.png"
CASES_PER_CONDITION = 3  # on the contact sheet


def write_library_pictures(
    library: Library, folder: Path, case_id: int | None = None
) -> list[Path]:
    """Write a contact sheet, histograms of the parameters, and an animation of one case.

    However large the library is, only the maps of the few cases shown are loaded.

    Args:
        library: library whose cases are shown.
        folder: folder for the pictures. Existing files with their names are replaced.
        case_id: id of the animated case. The default is the first case with fibrosis, or the first
            case if none has fibrosis.

    Returns:
        The paths of the pictures.

    Raises:
        LibraryError: the library has no such case, or a part cannot be read.
        ResultError: the folder contains the library's parts, or cannot be written.
    """
    _require_outside_parts(folder, library)
    columns = library.table(ALL, COLUMNS)
    table = {name: columns[name].to_numpy() for name in COLUMNS}
    (animated,) = load_cases(library, [animated_case(table, case_id)])
    shown = load_cases(library, contact_sheet_cases(table))
    pictures: dict[str, Callable[[Path], None]] = {
        CONTACT_SHEET_FILE: plot_contact_sheet(shown).savefig,
        PARAMETERS_FILE: plot_histograms(table).savefig,
        f"case-{animated.case_id}.gif": partial(write_animation, animated),
    }
    try:
        for name, write in pictures.items():
            Store.at(folder).publish_with(name, write)
    except OSError as error:
        reason = error.strerror or error
        raise ResultError(f"{folder} cannot be written: {reason}; choose another") from error
    with contextlib.suppress(OSError):  # remove the empty staging folder from the user's folder
        (folder / STAGING).rmdir()
    return [folder / name for name in pictures]


def contact_sheet_cases(table: CaseTable) -> list[int]:
    """Return the ids of the first cases of each condition, which are random and not hand-picked."""
    return [
        case_id
        for condition in CONDITIONS
        for case_id in _case_ids(table, condition.name)[:CASES_PER_CONDITION]
    ]


def animated_case(table: CaseTable, case_id: int | None = None) -> int:
    """Return the id of the requested case, or by default of the first case with fibrosis.

    Without a case with fibrosis, the default is the first case.

    Raises:
        LibraryError: the library has no such case.
    """
    all_ids = table[CASE_ID].tolist()
    if case_id is None:
        return (_case_ids(table, FIBROSIS.name) or all_ids)[0]
    if case_id not in all_ids:
        raise LibraryError(
            f"there is no case {case_id} in the library, whose {len(all_ids)} cases are numbered "
            f"from {all_ids[0]} to {all_ids[-1]}; quarantined cases cannot be drawn"
        )
    return case_id


def _case_ids(table: CaseTable, condition: str) -> list[int]:
    return table[CASE_ID][table[CONDITION] == condition].tolist()


def _require_outside_parts(folder: Path, library: Library) -> None:
    """Refuse the folder of the parts, because readers of that folder expect Parquet files only."""
    root = library.store.folder
    if root is not None and folder.resolve().is_relative_to((root / CASES_FOLDER).resolve()):
        raise ResultError(
            f"{folder}: this folder is reserved for the library's parts; choose another folder"
        )
