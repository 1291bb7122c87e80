"""The benchmark of the library's builder: its overhead, and its scheduling of very many cases."""

import logging
import multiprocessing
import resource
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from fwdecg.cases.draw import Case, draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.simulation import CaseRecord, simulate_case
from fwdecg.library.build import build_library
from fwdecg.library.part_plan import costliest_first, expected_work
from fwdecg.library.pending_cases import Simulate
from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store

logger = logging.getLogger(__name__)

WARM_UP_CASES = 8
SECONDS_BETWEEN_LOOKS = 1.0


@dataclass(frozen=True, kw_only=True)
class Overhead:
    """The builder beside a bare loop over the same cases on the same processors.

    Attributes:
        cases: number of cases.
        processes: number of processors.
        bare_seconds: of a pool of processes that simulates them and keeps nothing, the median.
        build_seconds: of `build_library`, from its first look at the store to the manifest.
        overhead: median of the ratios of both in each turn, less 1.
    """

    cases: int
    processes: int
    bare_seconds: float
    build_seconds: float
    overhead: float


@dataclass(frozen=True, kw_only=True)
class Scheduling:
    """Very many cases whose simulation is a sleep.

    Attributes:
        cases: number of cases.
        slots: how many sleep at a time.
        sleep_seconds: of each.
        seconds: of the build.
        overhead_seconds_per_case: what a case took of a slot beyond its sleep.
        driver_mb: memory of the driver after a tenth, half and all of that time.
    """

    cases: int
    slots: int
    sleep_seconds: float
    seconds: float
    overhead_seconds_per_case: float
    driver_mb: tuple[float, ...]


def benchmark_overhead(config: LibraryConfig, folder: Path, *, turns: int, processes: int) -> None:
    """Build a library in turns with a bare loop, and leave `report.txt` and `metrics.json`.

    Args:
        config: the library.
        folder: where the result goes.
        turns: how often.
        processes: processors of the connected Ray cluster.
    """
    _build(replace(config, cases=WARM_UP_CASES * processes))  # workers start, kernels load
    ratios, bare, built = [], [], []
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(partial(_simulate, config), range(WARM_UP_CASES * processes)))
        for turn in range(turns):
            bare.append(_seconds_of_loop(config, pool))
            built.append(_build(config))
            ratios.append(built[-1] / bare[-1])
            logger.info("turn %d: %.1f s bare, %.1f s built", turn + 1, bare[-1], built[-1])
    found = Overhead(
        cases=config.cases,
        processes=processes,
        bare_seconds=median(bare),
        build_seconds=median(built),
        overhead=median(ratios) - 1,
    )
    report = (
        f"{found.cases} cases on {processes} processors, medians of {turns} turns\n"
        f"  bare loop  {found.bare_seconds:8.1f} s\n"
        f"  builder    {found.build_seconds:8.1f} s, {found.overhead:+.1%}\n"
    )
    _publish(folder, found, report)


def benchmark_scheduling(
    config: LibraryConfig, folder: Path, *, cases: int, slots: int, sleep_seconds: float
) -> None:
    """Build a library of sleeps, and leave `report.txt` and `metrics.json`.

    Args:
        config: the library, for its draws and the size of its maps.
        folder: where the result goes.
        cases: number of cases.
        slots: processors that the connected Ray cluster claims to have.
        sleep_seconds: length of each.
    """
    with _Memory() as memory:
        seconds = _build(replace(config, cases=cases), partial(_sleep, sleep_seconds))
    found = Scheduling(
        cases=cases,
        slots=slots,
        sleep_seconds=sleep_seconds,
        seconds=seconds,
        overhead_seconds_per_case=seconds * slots / cases - sleep_seconds,
        driver_mb=memory.after_shares(0.1, 0.5, 1.0),
    )
    report = (
        f"{cases} cases of {sleep_seconds:g} s on {slots} slots: {seconds:.0f} s, "
        f"{found.overhead_seconds_per_case:.3f} s of a slot each beyond the sleep\n"
        f"  memory of the driver after a tenth, half and all of it: "
        f"{', '.join(f'{mb:.0f}' for mb in found.driver_mb)} MB\n"
    )
    _publish(folder, found, report)


def _publish(folder: Path, found: Overhead | Scheduling, report: str) -> None:
    store = Store.at(folder)
    store.publish_json(METRICS_FILE, asdict(found))
    store.publish(REPORT_FILE, report)


def _build(config: LibraryConfig, simulate: Simulate = simulate_case) -> float:
    """Seconds of building a library that is thrown away."""
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        build_library(config, Path(folder) / "library", simulate)
        return time.perf_counter() - started


def _seconds_of_loop(config: LibraryConfig, pool: ProcessPoolExecutor) -> float:
    """Seconds of the same cases in the same order, nothing kept."""
    started = time.perf_counter()
    work = {case_id: expected_work(config, case_id) for case_id in range(config.cases)}
    for _ in pool.map(partial(_simulate, config), costliest_first(work, work)):
        pass
    return time.perf_counter() - started


def _simulate(config: LibraryConfig, case_id: int) -> None:
    simulate_case(draw_case(config, case_id), config)


def _sleep(seconds: float, case: Case, config: LibraryConfig) -> CaseRecord:
    """A record of the size of a case's, after a while."""
    time.sleep(seconds)
    recording = config.recording
    frames, pixels = recording.frames, recording.map_pixels
    noise = np.random.default_rng(case.spec.seed).random((pixels, pixels))
    return CaseRecord(
        spec=case.spec,
        u=np.broadcast_to(noise, (frames, pixels, pixels)).astype(np.float16),
        phi_e=np.zeros((recording.electrode_count, frames), dtype=np.float32),
        diffusivity_mm2_per_ms=noise.astype(np.float32),
        conducting_fraction=np.ones((pixels, pixels), dtype=np.float32),
        electrodes_mm=case.electrodes_mm,
        solver_spacing_mm=1.0,
        solver_dt_ms=1.0,
        cv_error_estimate=0.0,
        activated_fraction=1.0,
        active_fraction_at_end=0.0,
        node_updates=0,
    )


class _Memory:
    """Memory of this process, looked at while a block runs."""

    def __init__(self) -> None:
        self._mb: list[float] = []
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Memory":
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()

    def after_shares(self, *shares: float) -> tuple[float, ...]:
        """MB after these shares of the time."""
        return tuple(self._mb[round(share * (len(self._mb) - 1))] for share in shares)

    def _watch(self) -> None:
        while True:
            pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
            self._mb.append(pages * resource.getpagesize() / 1e6)
            if self._over.wait(SECONDS_BETWEEN_LOOKS):
                return
