"""Benchmarks of the library build: overhead over a bare loop, and scheduling of many cases."""

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
from fwdecg.library.build_plan import expected_work, sort_by_work
from fwdecg.library.pending_cases import SimulateCase
from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store

logger = logging.getLogger(__name__)

WARM_UP_CASES = 8
SECONDS_BETWEEN_SAMPLES = 1.0


@dataclass(frozen=True, kw_only=True)
class Overhead:
    """Wall time of the build and of a bare loop over the same cases on the same CPUs.

    Attributes:
        cases: number of cases.
        processes: number of CPUs.
        bare_seconds: median time of a process pool that simulates the cases and stores nothing.
        build_seconds: median time of `build_library`.
        overhead: median over the rounds of build time / bare time - 1.
    """

    cases: int
    processes: int
    bare_seconds: float
    build_seconds: float
    overhead: float


@dataclass(frozen=True, kw_only=True)
class Scheduling:
    """A build of many cases in which each simulation only sleeps.

    Attributes:
        cases: number of cases.
        slots: number of cases that sleep concurrently.
        sleep_seconds: duration of each sleep.
        seconds: wall time of the build.
        overhead_seconds_per_case: time that a case occupies its slot beyond its sleep.
        driver_mb: resident memory of the driver at 10 %, 50 % and 100 % of the build time.
    """

    cases: int
    slots: int
    sleep_seconds: float
    seconds: float
    overhead_seconds_per_case: float
    driver_mb: tuple[float, ...]


def benchmark_overhead(config: LibraryConfig, folder: Path, *, rounds: int, processes: int) -> None:
    """Interleave builds with a bare loop and write `report.txt` and `metrics.json`.

    Args:
        config: library configuration.
        folder: result folder.
        rounds: number of interleaved rounds.
        processes: number of CPUs of the connected Ray cluster.
    """
    # The first build starts the workers and loads the kernels; it does not count.
    _build(replace(config, cases=WARM_UP_CASES * processes))
    ratios, bare, built = [], [], []
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(partial(_simulate, config), range(WARM_UP_CASES * processes)))
        for number in range(rounds):
            bare.append(_time_bare_loop(config, pool))
            built.append(_build(config))
            ratios.append(built[-1] / bare[-1])
            logger.info("round %d: bare loop %.1f s, build %.1f s", number + 1, bare[-1], built[-1])
    overhead = Overhead(
        cases=config.cases,
        processes=processes,
        bare_seconds=median(bare),
        build_seconds=median(built),
        overhead=median(ratios) - 1,
    )
    report = (
        f"{overhead.cases} cases on {processes} CPUs, medians of {rounds} rounds\n"
        f"  bare loop  {overhead.bare_seconds:8.1f} s\n"
        f"  build      {overhead.build_seconds:8.1f} s, {overhead.overhead:+.1%}\n"
    )
    _publish(folder, overhead, report)


def benchmark_scheduling(
    config: LibraryConfig, folder: Path, *, cases: int, slots: int, sleep_seconds: float
) -> None:
    """Build a library whose simulations sleep and write `report.txt` and `metrics.json`.

    Args:
        config: library configuration; it determines the draws and the size of the maps.
        folder: result folder.
        cases: number of cases.
        slots: number of CPUs that the connected Ray cluster was told to have.
        sleep_seconds: duration of each sleep.
    """
    with _MemorySampler() as memory:
        seconds = _build(replace(config, cases=cases), partial(_sleep, sleep_seconds))
    scheduling = Scheduling(
        cases=cases,
        slots=slots,
        sleep_seconds=sleep_seconds,
        seconds=seconds,
        overhead_seconds_per_case=seconds * slots / cases - sleep_seconds,
        driver_mb=memory.at_fractions(0.1, 0.5, 1.0),
    )
    report = (
        f"{cases} cases of {sleep_seconds:g} s on {slots} slots: {seconds:.0f} s, "
        f"{scheduling.overhead_seconds_per_case:.3f} s overhead per case\n"
        f"  driver memory at 10 %, 50 % and 100 % of the time: "
        f"{', '.join(f'{mb:.0f}' for mb in scheduling.driver_mb)} MB\n"
    )
    _publish(folder, scheduling, report)


def _publish(folder: Path, result: Overhead | Scheduling, report: str) -> None:
    store = Store.at(folder)
    store.publish_json(METRICS_FILE, asdict(result))
    store.publish(REPORT_FILE, report)


def _build(config: LibraryConfig, simulate: SimulateCase = simulate_case) -> float:
    """Build a library in a temporary folder and return the seconds."""
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        build_library(config, Path(folder) / "library", simulate)
        return time.perf_counter() - started


def _time_bare_loop(config: LibraryConfig, pool: ProcessPoolExecutor) -> float:
    """Simulate the same cases in the same order, discard them, and return the seconds."""
    started = time.perf_counter()
    work = {case_id: expected_work(config, case_id) for case_id in range(config.cases)}
    for _ in pool.map(partial(_simulate, config), sort_by_work(work, work)):
        pass
    return time.perf_counter() - started


def _simulate(config: LibraryConfig, case_id: int) -> None:
    simulate_case(draw_case(config, case_id), config)


def _sleep(seconds: float, case: Case, config: LibraryConfig) -> CaseRecord:
    """Sleep, then return a record of the size that a simulated case has."""
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


class _MemorySampler:
    """Sample the resident memory of this process while a block runs."""

    def __init__(self) -> None:
        self._mb: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "_MemorySampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def at_fractions(self, *fractions: float) -> tuple[float, ...]:
        """Return the memory in MB at these fractions of the time."""
        last = len(self._mb) - 1
        return tuple(self._mb[round(fraction * last)] for fraction in fractions)

    def _sample(self) -> None:
        while True:
            pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
            self._mb.append(pages * resource.getpagesize() / 1e6)
            if self._stop.wait(SECONDS_BETWEEN_SAMPLES):
                return
