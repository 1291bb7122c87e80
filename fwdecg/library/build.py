"""Fan-out: Ray tasks simulate the parts of a library, a bounded number of them at a time.

A task returns a small record; maps go from its memory to its file and nowhere else. Whatever is
published stays, so that the same command resumes after any interruption.
"""

import logging
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import ray

from fwdecg.config import identity_tree
from fwdecg.errors import FwdEcgError, LibraryError, RunError
from fwdecg.library.config import LibraryConfig
from fwdecg.library.layout import QUARANTINE, Part, published_parts
from fwdecg.library.manifest import publish_descriptions
from fwdecg.library.part import PartRecord, build_part, is_done
from fwdecg.library.reader import open_library
from fwdecg.progress import Progress, clock_text
from fwdecg.storage import claim, clear_staging

logger = logging.getLogger(__name__)

TASKS_PER_CPU = 2  # one running, one waiting, so that no processor idles between two tasks
SECONDS_BETWEEN_CHECKS = 5.0


class _Finished(NamedTuple):
    record: PartRecord
    core_seconds: float


def build_library(config: LibraryConfig, root: Path) -> dict[str, Any]:
    """Simulate all cases of a library that are not there yet, with the connected Ray cluster.

    Args:
        config: of the library.
        root: its folder, which every node of the cluster must see under this name.

    Returns:
        The content of the manifest.

    Raises:
        ResultError: the folder holds another library.
        LibraryError: a part is damaged, or every case failed.
        RunError: parts lost their workers over and over again.
    """
    claim(root, identity_tree(config), "library")
    finished = _finished(config, root)
    if finished is not None:
        logger.info("%s is built already", root)
        return finished
    _warn_of_fixed_resolution(config)
    outcomes = _simulate(config, root, plan_parts(config, published_parts(root)))
    core_seconds = sum(outcome.core_seconds for outcome in outcomes)
    logger.info("library complete, %s of processor time", clock_text(core_seconds))
    records = [outcome.record for outcome in outcomes]
    content = publish_descriptions(config, root, records, core_seconds=core_seconds)
    clear_staging(root)
    if content["counts"]["ok"]["all"]["all"] == 0:
        raise LibraryError(
            f"{root}: every case is quarantined; the reasons stand in {root / QUARANTINE}"
        )
    return content


def _simulate(config: LibraryConfig, root: Path, parts: list[Part]) -> list[_Finished]:
    """What came of all parts, in their order, whether done before or now."""
    to_do = {part for part in parts if not is_done(root, part)}
    progress = Progress(logger, "cases simulated", sum(len(part.case_ids) for part in to_do))
    outcomes: dict[Part, _Finished] = {}
    for part, outcome in _run_all(config, root, parts):
        outcomes[part] = outcome
        if part in to_do:
            failures = sum(len(done.record.quarantined) for done in outcomes.values())
            progress.advance(len(part.case_ids), f", {failures} quarantined" if failures else "")
    missing = [part for part in parts if part not in outcomes]
    if missing:
        raise RunError(
            f"{len(missing)} parts lost their workers again and again, the first is cases "
            f"{missing[0].first} to {missing[0].stop - 1}; see the log, then run the same command"
        )
    return [outcomes[part] for part in parts]


def plan_parts(config: LibraryConfig, published: list[Part]) -> list[Part]:
    """The parts that make up a library, by first case: those that exist, then the rest.

    Raises:
        LibraryError: the folder holds more cases than are asked for, or some of them twice.
    """
    if published and published[-1].stop > config.cases:
        raise LibraryError(
            f"library.cases = {config.cases}: the library already holds {published[-1].stop}; "
            "ask for at least as many, or choose another library.path"
        )
    parts, first = [], 0
    for part in published:
        if part.first < first:
            raise LibraryError(
                f"{part.file} holds cases that the part before it holds too; delete one of them"
            )
        parts += [*_grid(first, part.first, config.cases_per_part), part]
        first = part.stop
    return parts + _grid(first, config.cases, config.cases_per_part)


def _grid(first: int, stop: int, size: int) -> list[Part]:
    """The parts from case `first` to before `stop`, cut at the multiples of `size`."""
    edges = [first, *range((first // size + 1) * size, stop, size), stop]
    return [Part(a, b) for a, b in pairwise(edges) if a < b]


def _finished(config: LibraryConfig, root: Path) -> dict[str, Any] | None:
    """The manifest if it describes this very library, with every part whole; else None."""
    try:
        library = open_library(root)
    except FwdEcgError:  # whatever it lacks is made, or named, by building
        return None
    return library.manifest if library.manifest["cases"] == config.cases else None


def _warn_of_fixed_resolution(config: LibraryConfig) -> None:
    if config.solver.fixed:
        slowest, _ = config.diffusivity_bounds_mm2_per_ms
        logger.warning(
            "library.solver.spacing_mm or dt_ms is fixed: expect conduction velocities up to "
            "%.2g %% off (at D = %g mm^2/ms); leave them out to meet library.solver.cv_error",
            100 * config.solver.expected_cv_error(slowest),
            slowest,
        )


def _run_all(
    config: LibraryConfig, root: Path, parts: list[Part]
) -> Iterator[tuple[Part, _Finished]]:
    """Parts as they finish; a part whose worker died beyond all retries is logged and left out."""
    # A case's own errors never leave it; what does is the machine's, and may pass.
    options = {"num_cpus": 1, "max_retries": 3, "retry_exceptions": [OSError, MemoryError]}
    task = ray.remote(**options)(_build_part_timed)  # type: ignore[call-overload]
    waiting = list(reversed(parts))
    running: dict[ray.ObjectRef, Part] = {}
    while waiting or running:
        while waiting and len(running) < _window():
            part = waiting.pop()
            running[task.remote(config, root, part)] = part
        done, _ = ray.wait(list(running), num_returns=1, timeout=SECONDS_BETWEEN_CHECKS)
        for reference in done:
            part = running.pop(reference)
            try:
                yield part, ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except ray.exceptions.RayError as error:  # its worker or node was lost
                logger.warning("cases %d to %d: %s", part.first, part.stop - 1, error)


def _window() -> int:
    """Tasks in flight; the cluster may grow and shrink meanwhile."""
    return max(TASKS_PER_CPU * int(ray.cluster_resources().get("CPU", 1)), 1)


def _build_part_timed(config: LibraryConfig, root: Path, part: Part) -> _Finished:
    started = time.process_time()
    record = build_part(config, root, part)
    return _Finished(record, time.process_time() - started)
