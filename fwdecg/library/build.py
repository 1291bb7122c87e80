"""A library built on a Ray cluster: cases are simulated by tasks, then gathered into parts.

Maps go from a task's memory to the store and nowhere else; tasks return small records. Whatever is
published stays, so that the same command resumes after any interruption.
"""

import logging
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

from fwdecg.cases.library_config import LibraryConfig, warn_if_resolution_is_fixed
from fwdecg.cases.simulation import simulate_case
from fwdecg.config import identity_tree
from fwdecg.errors import FwdEcgError, LibraryError, RunError
from fwdecg.library.manifest import publish_descriptions
from fwdecg.library.part import PartRecord, publish_part
from fwdecg.library.part_plan import expected_work, plan_parts, sort_by_work
from fwdecg.library.paths import (
    PENDING_FOLDER,
    QUARANTINE_FOLDER,
    Part,
    pending_cases,
    published_parts,
    quarantined_cases,
)
from fwdecg.library.pending_cases import Simulate, quarantine, simulate_pending_case
from fwdecg.library.reader import open_library
from fwdecg.runtime.cost import Cost, CostMeter
from fwdecg.runtime.nodes import require_folder_visible, require_shared_folder
from fwdecg.runtime.ownership import record_owner
from fwdecg.runtime.progress import Progress
from fwdecg.runtime.storage import Store, retry_io
from fwdecg.runtime.task_pool import Task, run_tasks
from fwdecg.runtime.telemetry import BUILD, FAILURES, FRACTION_DONE, ITEMS, ITEMS_PER_SECOND

logger = logging.getLogger(__name__)

# A label of nodes with GPUs. To prefer others is what Ray does by itself, but when those are busy
# an autoscaler would start nodes with GPUs for what cannot use them.
NOT_ON_GPU_NODES = {"label_selector": {"fwdecg-simulations": "!no"}}


def build_library(
    config: LibraryConfig, place: str | Path | Store, simulate: Simulate = simulate_case
) -> dict[str, Any]:
    """Simulate all cases of a library that are not there yet, with the connected Ray cluster.

    Args:
        config: of the library.
        place: its folder, which every node of the cluster must see under this name, or its URI.
        simulate: what makes the record of a drawn case.

    Returns:
        The content of the manifest.

    Raises:
        ResultError: the place holds another library, or is a folder that some node does not see.
        LibraryError: a part is damaged, or every case failed.
        RunError: a part could not be gathered, as its workers died over and over again.
        OSError: the store cannot be written, for longer than a passing trouble lasts.
    """
    meter, store = CostMeter(), Store.at(place)
    record_owner(store, identity_tree(config), "library")
    finished = _finished(config, store)
    if finished is not None:
        logger.info("%s is built already", store.label())
        return finished
    require_shared_folder(store)
    warn_if_resolution_is_fixed(config)
    build = _Build(config, store, simulate)
    records = build.run()
    logger.info("library complete")
    cost = build.cost + meter.lap()
    content = retry_io(lambda: publish_descriptions(config, store, records, cost=cost))
    store.remove_folder(PENDING_FOLDER)
    store.clear_staging()
    if content["counts"]["ok"]["all"]["all"] == 0:
        raise LibraryError(
            f"{store.label()}: every case is quarantined; the reasons stand in "
            f"{store.label(QUARANTINE_FOLDER)}"
        )
    return content


class _Build:
    """What is left to do of a library, and what came of the rest."""

    def __init__(self, config: LibraryConfig, store: Store, simulate: Simulate) -> None:
        """Look what is there."""
        self._config, self._store, self._simulate = config, store, simulate
        published = published_parts(store)
        self._parts, there = plan_parts(config, published), set(published)
        self._quarantined = quarantined_cases(store)
        held = pending_cases(store) | self._quarantined
        self._missing = {
            part: set() if part in there else set(part.case_ids) - held for part in self._parts
        }
        self._work = {
            case_id: expected_work(config, case_id)
            for missing in self._missing.values()
            for case_id in missing
        }
        self._progress = Progress(
            logger, "cases simulated", len(self._work), work=sum(self._work.values())
        )
        self._records: dict[Part, PartRecord] = {}
        self._failures = 0
        self._tasks: deque[Task] = deque()
        self.cost = Cost()

    def run(self) -> list[PartRecord]:
        """Do it; the records of all parts, in their order."""
        logger.info("%d of %d cases to simulate", len(self._work), self._config.cases)
        for part in self._parts:
            if not self._missing[part]:
                self._tasks.append(self._gathering(part))
            for case_id in sort_by_work(self._missing[part], self._work):
                self._tasks.append(self._simulation(part, case_id))
        self.cost = run_tasks(self._tasks, BUILD)
        return [self._records[part] for part in self._parts]

    def _simulation(self, part: Part, case_id: int) -> Task:
        return Task(
            name=f"case {case_id}",
            work=partial(_spool_case, self._config, self._store, case_id, self._simulate),
            on_result=partial(self._simulated, part, case_id),
            on_failure=partial(self._poisoned, part, case_id),
            options=NOT_ON_GPU_NODES,
        )

    def _gathering(self, part: Part) -> Task:
        return Task(
            name=part.file,
            work=partial(
                publish_part,
                self._config,
                self._store,
                part,
                self._quarantined.intersection(part.case_ids),
            ),
            on_result=partial(self._records.__setitem__, part),
            on_failure=_give_up,
            options=NOT_ON_GPU_NODES,
        )

    def _simulated(self, part: Part, case_id: int, kept: bool) -> None:
        if not kept:
            FAILURES.add(BUILD)
            self._failures += 1
            self._quarantined.add(case_id)
        note = f", {self._failures} quarantined" if self._failures else ""
        self._progress.advance(1, note, work=self._work[case_id])
        ITEMS.add(BUILD)
        ITEMS_PER_SECOND.set(BUILD, self._progress.rate)
        FRACTION_DONE.set(BUILD, self._progress.fraction_done)
        self._missing[part].remove(case_id)
        if not self._missing[part]:
            self._tasks.appendleft(self._gathering(part))

    def _poisoned(self, part: Part, case_id: int, error: RunError) -> None:
        quarantine(self._store, case_id, error)
        self._simulated(part, case_id, kept=False)


def _spool_case(config: LibraryConfig, store: Store, case_id: int, simulate: Simulate) -> bool:
    """Simulate and keep a case, on a node that may have joined when others were at work."""
    require_folder_visible(store)
    return simulate_pending_case(config, store, case_id, simulate)


def _give_up(error: RunError) -> None:
    raise error


def _finished(config: LibraryConfig, store: Store) -> dict[str, Any] | None:
    """The manifest if it describes this very library, with every part whole; else None."""
    try:
        library = open_library(store)
    except FwdEcgError:  # whatever it lacks is made, or named, by building
        return None
    return library.manifest if library.manifest["cases"] == config.cases else None
