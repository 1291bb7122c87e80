"""How fast the solver's step is: node updates per second, beside the machine's limits and a peer.

All on one sheet of 400 x 400 cells with a fifth of holes and D from 0.03 to 0.1 mm^2/ms, no tissue
skipped, no output. What is compared is timed in turns, and medians over the turns are given.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np

from fwdecg.benchmarks.machine_limits import LIMITS
from fwdecg.benchmarks.turns import in_turns
from fwdecg.errors import ConfigError
from fwdecg.physics.fenton_karma import PUBLISHED
from fwdecg.physics.monodomain import PLAIN, Clock, Scheme, Simulation
from fwdecg.physics.stimulus import planar
from fwdecg.physics.tissue import Tissue

CELLS, SPACING_MM, DT_MS = 400, 0.25, 0.02
STEPS = 2000
EVERYWHERE = Scheme(skip_rest=False)
PEER = Path(__file__).with_name("peer_finitewave.py")


def sheet() -> Tissue:
    """The sheet: D falls from top to bottom, squares of 2 mm are scar at random."""
    rng = np.random.default_rng(0)
    conducts = np.kron(rng.random((CELLS // 8, CELLS // 8)) > 0.2, np.ones((8, 8)))
    diffusivity = np.linspace(0.1, 0.03, CELLS)[:, None] * conducts
    return Tissue(spacing_mm=SPACING_MM, diffusivity_mm2_per_ms=diffusivity)


def solver_speed(turns: int, peer_python: str | None) -> dict[str, float]:
    """Million node updates per second of each solver, the machine's limits, and two processes.

    Args:
        turns: how often each is timed.
        peer_python: a Python with Finitewave, or None.

    Raises:
        ConfigError: that Python cannot run Finitewave.
    """
    measures = {
        "plain_mnu_per_s": lambda: _speed(step_seconds(PLAIN)),
        "default_mnu_per_s": lambda: _speed(step_seconds(EVERYWHERE)),
    } | LIMITS
    with _peer(peer_python) as peer_seconds:
        if peer_seconds is not None:
            measures["finitewave_mnu_per_s"] = lambda: _speed(peer_seconds())
        found = {name: median(each) for name, each in in_turns(measures, turns).items()}
    return found | {"two_processes_over_one": two_processes_over_one(turns)}


def _speed(seconds_of_a_step: float) -> float:
    return CELLS**2 / seconds_of_a_step / 1e6


def step_seconds(scheme: Scheme) -> float:
    """Seconds of one step of the sheet, set-up excluded."""
    clock = Clock(frame_interval_ms=STEPS * DT_MS, frames=3, largest_dt_ms=DT_MS)
    frames = iter(Simulation(sheet(), planar(), clock, PUBLISHED["FK-CAF"], scheme))
    next(frames), next(frames)  # now a wave is on its way, and all is compiled
    started = time.perf_counter()
    next(frames)
    return (time.perf_counter() - started) / STEPS


def two_processes_over_one(turns: int) -> float:
    """Steps that two processes make together in the time in which one makes one."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(step_seconds, [EVERYWHERE] * 4))  # both start and compile
        ratios = []
        for _ in range(turns):
            alone = pool.submit(step_seconds, EVERYWHERE).result()
            together = list(pool.map(step_seconds, [EVERYWHERE] * 2))
            ratios.append(sum(alone / each for each in together))
    return median(ratios)


@contextmanager
def _peer(python: str | None) -> Iterator[Callable[[], float] | None]:
    """A function that lets Finitewave step the same sheet, in a process of its own."""
    if python is None:
        yield None
        return
    try:
        process = subprocess.Popen(
            [python, str(PEER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    except OSError as error:
        raise ConfigError(f"--finitewave {python}: cannot be run ({error.strerror})") from error
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def seconds_of_a_step() -> float:
        stdin.write("\n")
        stdin.flush()
        return float(stdout.readline())

    with process:
        if not stdout.readline():  # it says so when it is ready
            raise ConfigError(
                f"--finitewave {python}: does not run Finitewave; give a Python of an environment "
                "in which finitewave is installed"
            )
        yield seconds_of_a_step
        stdin.close()
