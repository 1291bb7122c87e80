"""Node updates per second of the solver, next to the machine's limits and to Finitewave.

All solvers step the same sheet of 400 x 400 cells, of which a fifth do not conduct, with D from
0.03 to 0.1 mm^2/ms. No tissue is skipped and nothing is recorded. The measurements are interleaved,
and the medians are reported.
"""

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
from jaxtyping import Float32

from fwdecg.benchmarks.timing import interleave, seconds
from fwdecg.errors import ConfigError
from fwdecg.kernels.compile import kernel, vectorise
from fwdecg.physics.fenton_karma import PARAMETER_SETS
from fwdecg.physics.monodomain import PLAIN, Scheme, Simulation, TimeGrid
from fwdecg.physics.pseudo_ecg import FRAMES_AT_ONCE, lead_fields, pseudo_ecg
from fwdecg.physics.stimulus import planar
from fwdecg.physics.tissue import Tissue

Vector = Float32[np.ndarray, " element"]

CELLS, SPACING_MM, DT_MS = 400, 0.25, 0.02
STEPS = 2000
EVERYWHERE = Scheme(skip_rest=False)
ELECTRODE_MM = np.array([[50.0, 50.0, 40.0]])
FINITEWAVE_PROCESS = Path(__file__).with_name("finitewave_process.py")

MULTIPLY_ADDS = 32  # per element and pass
MULTIPLY_ADD_PASSES = 20_000
TRIAD_ELEMENTS = 2**27  # number of elements computed in all passes together


def benchmark_sheet() -> Tissue:
    """Return the sheet: D falls from top to bottom, and random squares of 2 mm are scar."""
    rng = np.random.default_rng(0)
    conducts = np.kron(rng.random((CELLS // 8, CELLS // 8)) > 0.2, np.ones((8, 8)))
    diffusivity = np.linspace(0.1, 0.03, CELLS)[:, None] * conducts
    return Tissue(spacing_mm=SPACING_MM, diffusivity_mm2_per_ms=diffusivity)


def solver_speed(rounds: int, finitewave_python: str | None) -> dict[str, float]:
    """Return million node updates (mnu) per second of each solver, and the machine's limits.

    Args:
        rounds: number of interleaved rounds.
        finitewave_python: Python interpreter with Finitewave installed, or None to leave it out.

    Raises:
        ConfigError: the interpreter cannot run Finitewave.
    """
    measurements: dict[str, Callable[[], float]] = {
        "plain_mnu_per_s": partial(million_updates_per_s, PLAIN),
        "default_mnu_per_s": partial(million_updates_per_s, EVERYWHERE),
        "ecg_ms_per_frame": ecg_ms_per_frame,
        **MACHINE_LIMITS,
    }
    with _finitewave(finitewave_python) as finitewave:
        if finitewave is not None:
            measurements["finitewave_mnu_per_s"] = finitewave
        values = interleave(measurements, rounds)
    medians = {name: median(each) for name, each in values.items()}
    return medians | {"two_processes_over_one": two_processes_over_one(rounds)}


def million_updates_per_s(scheme: Scheme) -> float:
    """Return the rate of cell updates on the benchmark sheet, without set-up and compilation."""
    time_grid = TimeGrid(frame_interval_ms=STEPS * DT_MS, frames=3, largest_dt_ms=DT_MS)
    frames = iter(
        Simulation(benchmark_sheet(), planar(), time_grid, PARAMETER_SETS["FK-CAF"], scheme)
    )
    next(frames), next(frames)  # compile, and let a wave enter the sheet
    return CELLS**2 * STEPS / seconds(lambda: next(frames)) / 1e6


def ecg_ms_per_frame() -> float:
    """Return the milliseconds that Eq. 1 takes per frame of the sheet at one electrode."""
    leads = lead_fields(benchmark_sheet(), ELECTRODE_MM, np.float32)
    frames = np.random.default_rng(0).random((FRAMES_AT_ONCE, CELLS, CELLS), dtype=np.float32)
    pseudo_ecg(frames, leads)
    return 1e3 * seconds(lambda: pseudo_ecg(frames, leads)) / FRAMES_AT_ONCE


def two_processes_over_one(rounds: int) -> float:
    """Return the throughput of two concurrent processes relative to one."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        # A warm-up starts both processes and compiles the kernels.
        list(pool.map(million_updates_per_s, [EVERYWHERE] * 4))
        ratios = []
        for _ in range(rounds):
            alone = pool.submit(million_updates_per_s, EVERYWHERE).result()
            together = pool.map(million_updates_per_s, [EVERYWHERE] * 2)
            ratios.append(sum(together) / alone)
    return median(ratios)


@kernel()
def _multiply_add(x: Vector, a: np.float32, b: np.float32, passes: int) -> None:
    vectorise()
    for _ in range(passes):
        for n in range(x.size):
            value = x[n]
            for _ in range(MULTIPLY_ADDS):
                value = value * a + b
            x[n] = value


@kernel()
def _triad(a: Vector, b: Vector, c: Vector, s: np.float32, passes: int) -> None:
    vectorise()
    for _ in range(passes):
        for n in range(a.size):
            a[n] = b[n] + s * c[n]


def multiply_add_rate() -> float:
    """Return GFLOP/s of float32 multiply-adds on one core; each counts as two operations."""
    x = np.zeros(2**11, dtype=np.float32)
    constants = np.float32(0.5), np.float32(1.0)
    _multiply_add(x, *constants, 1)
    spent = seconds(lambda: _multiply_add(x, *constants, MULTIPLY_ADD_PASSES))
    return 2 * MULTIPLY_ADDS * x.size * MULTIPLY_ADD_PASSES / spent / 1e9


def triad_rate(elements: int) -> float:
    """Return GB/s of a[n] = b[n] + s c[n] on one core, reads and writes counted.

    Args:
        elements: length of each float32 array; it determines which cache holds them.
    """
    a, b, c = (np.ones(elements, dtype=np.float32) for _ in range(3))
    passes = max(1, TRIAD_ELEMENTS // elements)
    _triad(a, b, c, np.float32(0.5), 1)
    spent = seconds(lambda: _triad(a, b, c, np.float32(0.5), passes))
    return 3 * a.nbytes * passes / spent / 1e9


MACHINE_LIMITS: dict[str, Callable[[], float]] = {
    "fma_gflop_per_s": multiply_add_rate,
    "triad_l1_gb_per_s": partial(triad_rate, 2**11),
    "triad_l2_gb_per_s": partial(triad_rate, 2**16),
    "triad_memory_gb_per_s": partial(triad_rate, 2**24),
}


@contextmanager
def _finitewave(python: str | None) -> Iterator[Callable[[], float] | None]:
    """Start a Finitewave process and yield a function that returns its million updates per s."""
    if python is None:
        yield None
        return
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            [python, str(FINITEWAVE_PROCESS)], stdin=pipe, stdout=pipe, text=True
        )
    except OSError as error:
        raise ConfigError(f"--finitewave {python}: cannot be run ({error.strerror})") from error
    with process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None
        if not stdout.readline():  # the process prints a line when it is ready
            raise ConfigError(
                f"--finitewave {python}: does not run Finitewave; give the Python of an "
                "environment in which finitewave is installed"
            )

        def measure() -> float:
            print(file=stdin, flush=True)
            return float(stdout.readline())

        yield measure
        stdin.close()
