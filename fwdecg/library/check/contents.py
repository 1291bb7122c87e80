"""All parts of a library, read once, one after the other."""

import logging
from collections.abc import Generator
from typing import NamedTuple

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.library.check.fault import Fault
from fwdecg.library.check.inventory import Inventory
from fwdecg.library.check.part_check import HeldCase, check_part
from fwdecg.library.paths import Part
from fwdecg.runtime.progress import Progress
from fwdecg.runtime.storage import Store

logger = logging.getLogger(__name__)


class Contents(NamedTuple):
    """What all parts hold.

    Attributes:
        case_ids: of all rows that were read.
        cases: those rows that have all columns.
        unread: parts whose cases are not known.
        whole: whether every row of every part is among the cases.
    """

    case_ids: tuple[int, ...]
    cases: tuple[HeldCase, ...]
    unread: tuple[Part, ...]
    whole: bool


def read_parts(
    store: Store, inventory: Inventory, config: LibraryConfig, *, redraw: bool
) -> Generator[Fault, None, Contents]:
    """All checks of columns and rows.

    Args:
        store: where the library is.
        inventory: its parts.
        config: of the library.
        redraw: whether to compare each case with what the configuration draws for it.
    """
    progress = Progress(logger, "cases read", sum(len(p.part.case_ids) for p in inventory.parts))
    case_ids: list[int] = []
    cases: list[HeldCase] = []
    unread, whole = [*inventory.absent], not inventory.absent
    for listed in inventory.parts:
        found = yield from check_part(store, listed, config, redraw=redraw)
        if found is None:
            unread.append(listed.part)
            whole = False
        else:
            case_ids += found.case_ids
            cases += found.cases
            whole &= found.whole
        progress.advance(len(listed.part.case_ids))
    return Contents(tuple(case_ids), tuple(cases), tuple(unread), whole)
