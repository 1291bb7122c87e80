"""Build a library on a Ray cluster.

Some tasks simulate cases, others collect the simulated cases in parts. The tasks write the maps
directly to the store and return only small records to the driver. Published files are kept, so the
same command resumes a build after any interruption.
"""

import logging
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

from fwdecg.cases.library_config import LibraryConfig, warn_if_resolution_is_fixed
from fwdecg.cases.simulation import simulate_case
from fwdecg.cases.splits import ALL
from fwdecg.config import identity_tree
from fwdecg.errors import FwdEcgError, RunError
from fwdecg.library.build_plan import expected_work, plan_parts, sort_by_work
from fwdecg.library.manifest import publish_descriptions
from fwdecg.library.part import PartRecord, publish_part
from fwdecg.library.paths import (
    PENDING_FOLDER,
    QUARANTINE_FOLDER,
    Part,
    published_parts,
    stored_case_ids,
)
from fwdecg.library.pending_cases import SimulateCase, quarantine, simulate_or_quarantine
from fwdecg.library.reader import open_library
from fwdecg.runtime.cost import Cost, CostMeter
from fwdecg.runtime.nodes import require_folder_visible, require_shared_folder
from fwdecg.runtime.ownership import record_owner
from fwdecg.runtime.progress import Progress
from fwdecg.runtime.storage import Store, retry_io
from fwdecg.runtime.task_pool import Task, run_tasks
from fwdecg.runtime.telemetry import BUILD, FAILURES, FRACTION_DONE, ITEMS, ITEMS_PER_SECOND

logger = logging.getLogger(__name__)

# Keep simulations off GPU nodes, which carry the label fwdecg-simulations=no. Ray prefers CPU nodes
# by itself, but while they are busy an autoscaler would start GPU nodes, which do not help here.
NOT_ON_GPU_NODES = {"label_selector": {"fwdecg-simulations": "!no"}}


def build_library(
    config: LibraryConfig, location: str | Path | Store, simulate: SimulateCase = simulate_case
) -> dict[str, Any]:
    """Simulate all missing cases of a library on the connected Ray cluster.

    Args:
        config: library configuration.
        location: URI, or a folder that every node of the cluster sees under this path.
        simulate: function that simulates a drawn case.

    Returns:
        The content of the manifest.

    Raises:
        ResultError: the location contains another library, or a node does not see the folder.
        LibraryError: a part is damaged or overlaps another, or the library already has more cases
            than configured.
        RunError: every case of a condition failed, or a part could not be collected because its
            workers died repeatedly.
        OSError: the store cannot be written, after all retries.
    """
    meter, store = CostMeter(), Store.at(location)
    record_owner(store, identity_tree(config), "library")
    manifest = _finished_manifest(config, store)
    if manifest is not None:
        logger.info("%s has all its cases; there is nothing to build", store.label())
        _require_every_condition(manifest, store)
        return manifest
    require_shared_folder(store)
    warn_if_resolution_is_fixed(config)
    records, worker_cost = _Build(config, store, simulate).run()
    cost = worker_cost + meter.lap()
    manifest = retry_io(lambda: publish_descriptions(config, store, records, cost=cost))
    store.remove_folder(PENDING_FOLDER)
    store.clear_staging()
    _require_every_condition(manifest, store)
    logger.info("library complete")
    return manifest


def _require_every_condition(manifest: dict[str, Any], store: Store) -> None:
    """Raise `RunError` if every case of a condition failed: the library would lack it silently."""
    usable, failed = (manifest["counts"][status][ALL] for status in ("ok", "quarantined"))
    lost = [name for name in usable if name != ALL and failed[name] and not usable[name]]
    if not lost:
        return
    which = "every case" if usable[ALL] == 0 else f"every case of {', '.join(lost)}"
    raise RunError(
        f"{store.label()}: {which} is quarantined; see the reasons in "
        f"{store.label(QUARANTINE_FOLDER)}, change the settings and build in another folder"
    )


class _Build:
    """The remaining work of a library, and the records of its finished parts."""

    def __init__(self, config: LibraryConfig, store: Store, simulate: SimulateCase) -> None:
        """Find out which parts and cases are missing."""
        self._config, self._store, self._simulate = config, store, simulate
        published = published_parts(store)
        finished = set(published)
        self._quarantined = stored_case_ids(store, QUARANTINE_FOLDER)
        done = stored_case_ids(store, PENDING_FOLDER) | self._quarantined
        self._missing = {
            part: set() if part in finished else set(part.case_ids) - done
            for part in plan_parts(config, published)
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

    def run(self) -> tuple[list[PartRecord], Cost]:
        """Do the remaining work; return the sorted records of all parts, and the cost."""
        logger.info("%d of %d cases to simulate", len(self._work), self._config.cases)
        for part, missing in self._missing.items():
            if not missing:
                self._tasks.append(self._part_task(part))
            for case_id in sort_by_work(missing, self._work):
                self._tasks.append(self._case_task(part, case_id))
        cost = run_tasks(self._tasks, BUILD)
        return [self._records[part] for part in self._missing], cost

    def _case_task(self, part: Part, case_id: int) -> Task:
        return Task(
            name=f"case {case_id}",
            work=partial(_run_case, self._config, self._store, case_id, self._simulate),
            on_result=partial(self._on_case_done, part, case_id),
            on_failure=partial(self._on_case_failure, part, case_id),
            options=NOT_ON_GPU_NODES,
        )

    def _part_task(self, part: Part) -> Task:
        quarantined = self._quarantined.intersection(part.case_ids)
        return Task(
            name=part.file,
            work=partial(publish_part, self._config, self._store, part, quarantined),
            on_result=partial(self._records.__setitem__, part),
            on_failure=_raise,
            options=NOT_ON_GPU_NODES,
        )

    def _on_case_done(self, part: Part, case_id: int, succeeded: bool) -> None:
        if not succeeded:
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
            self._tasks.appendleft(self._part_task(part))

    def _on_case_failure(self, part: Part, case_id: int, error: RunError) -> None:
        """Quarantine a case whose workers died repeatedly."""
        quarantine(self._store, case_id, error)
        self._on_case_done(part, case_id, succeeded=False)


def _run_case(config: LibraryConfig, store: Store, case_id: int, simulate: SimulateCase) -> bool:
    """Simulate a case in a task; return False if the case is quarantined."""
    require_folder_visible(store)  # the node may have joined after the check of `build_library`
    return simulate_or_quarantine(config, store, case_id, simulate)


def _raise(error: RunError) -> None:
    raise error


def _finished_manifest(config: LibraryConfig, store: Store) -> dict[str, Any] | None:
    """Return the manifest if the library has all cases and no part is truncated, else None."""
    try:
        library = open_library(store)
    except FwdEcgError:  # the build repairs the fault or reports it
        return None
    return library.manifest if library.manifest["cases"] == config.cases else None
