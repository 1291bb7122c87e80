"""Benchmarks of the library build: overhead over a bare loop, and scheduling of many cases."""

import multiprocessing
import resource
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from fwdecg.benchmarks.timing import interleave, publish, seconds
from fwdecg.cases.draw import Case, draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.simulation import CaseRecord, simulate_case
from fwdecg.library.build import build_library
from fwdecg.library.build_plan import expected_work, sort_by_work
from fwdecg.library.pending_cases import SimulateCase

WARM_UP_CASES = 8
SECONDS_BETWEEN_SAMPLES = 1.0


def benchmark_overhead(config: LibraryConfig, folder: Path, *, rounds: int, processes: int) -> None:
    """Time the build and a bare loop over the same cases on the same CPUs.

    The bare loop is a process pool that simulates the cases and stores nothing. The overhead is the
    median over the rounds of build time / bare time - 1.

    Args:
        config: library configuration.
        folder: result folder, in which `report.txt` and `metrics.json` are written.
        rounds: number of interleaved rounds.
        processes: number of CPUs of the connected Ray cluster.
    """
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        # A warm-up starts the workers and loads the kernels, so that neither counts.
        warm_up = replace(config, cases=WARM_UP_CASES * processes)
        _build(warm_up)
        _simulate_all(warm_up, pool)
        values = interleave(
            {
                "bare": partial(seconds, partial(_simulate_all, config, pool)),
                "build": partial(_build, config),
            },
            rounds,
        )
    bare, built = values["bare"], values["build"]
    metrics = {
        "cases": config.cases,
        "processes": processes,
        "bare_seconds": median(bare),
        "build_seconds": median(built),
        "overhead": median(b / a for a, b in zip(bare, built, strict=True)) - 1,
    }
    report = [
        f"{config.cases} cases on {processes} CPUs, medians of {rounds} rounds",
        f"  bare loop  {metrics['bare_seconds']:8.1f} s",
        f"  build      {metrics['build_seconds']:8.1f} s, {metrics['overhead']:+.1%}",
    ]
    publish(folder, metrics, report)


def benchmark_scheduling(
    config: LibraryConfig, folder: Path, *, cases: int, slots: int, sleep_seconds: float
) -> None:
    """Build a library whose simulations only sleep.

    The overhead is the time for which a case occupies its slot beyond its sleep.

    Args:
        config: library configuration; it determines the draws and the size of the maps.
        folder: result folder, in which `report.txt` and `metrics.json` are written.
        cases: number of cases.
        slots: nominal number of CPUs of the connected Ray cluster; as many cases sleep
            concurrently.
        sleep_seconds: duration of each sleep.
    """
    with _sampled_memory_mb() as memory_mb:
        wall_time = _build(replace(config, cases=cases), partial(_sleep, sleep_seconds))
    # Time for which a case occupies its slot beyond its sleep.
    overhead = wall_time * slots / cases - sleep_seconds
    driver_mb = [memory_mb[round(f * (len(memory_mb) - 1))] for f in (0.1, 0.5, 1.0)]
    metrics = {
        "cases": cases,
        "slots": slots,
        "sleep_seconds": sleep_seconds,
        "seconds": wall_time,
        "overhead_seconds_per_case": overhead,
        "driver_mb": driver_mb,
    }
    report = [
        f"{cases} cases of {sleep_seconds:g} s on {slots} slots: {wall_time:.0f} s, "
        f"{overhead:.3f} s overhead per case",
        f"  driver memory at 10 %, 50 % and 100 % of the time: "
        f"{', '.join(f'{mb:.0f}' for mb in driver_mb)} MB",
    ]
    publish(folder, metrics, report)


def _build(config: LibraryConfig, simulate: SimulateCase = simulate_case) -> float:
    """Build a library in a temporary folder and return the seconds."""
    with TemporaryDirectory() as folder:
        return seconds(lambda: build_library(config, Path(folder) / "library", simulate))


def _simulate_all(config: LibraryConfig, pool: ProcessPoolExecutor) -> None:
    """Simulate the cases in the order in which the build does, and discard them."""
    work = {case_id: expected_work(config, case_id) for case_id in range(config.cases)}
    for _ in pool.map(partial(_simulate, config), sort_by_work(work, work)):
        pass


def _simulate(config: LibraryConfig, case_id: int) -> None:
    simulate_case(draw_case(config, case_id), config)


def _sleep(sleep_seconds: float, case: Case, config: LibraryConfig) -> CaseRecord:
    """Sleep, then return a record as large as the record of a simulated case."""
    time.sleep(sleep_seconds)
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


@contextmanager
def _sampled_memory_mb() -> Iterator[list[float]]:
    """Sample the resident memory of this process while the block runs."""
    samples_mb: list[float] = []
    stop = threading.Event()

    def sample() -> None:
        while True:
            pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
            samples_mb.append(pages * resource.getpagesize() / 1e6)
            if stop.wait(SECONDS_BETWEEN_SAMPLES):
                return

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples_mb
    finally:
        stop.set()
        thread.join()
