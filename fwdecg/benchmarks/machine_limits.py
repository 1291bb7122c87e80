"""What one core of a machine can do at most: arithmetic, and moving data from each memory."""

import time
from collections.abc import Callable

import numpy as np
from jaxtyping import Float32

from fwdecg.kernels.compile import kernel, vectorise

Vector = Float32[np.ndarray, " element"]

MULTIPLY_ADDS = 32
REPEATS = 20_000


@kernel()
def _multiply_add(x: Vector, a: np.float32, b: np.float32, repeats: int) -> None:
    vectorise()
    for _ in range(repeats):
        for n in range(x.size):
            value = x[n]
            for _ in range(MULTIPLY_ADDS):
                value = value * a + b
            x[n] = value


@kernel()
def _triad(a: Vector, b: Vector, c: Vector, s: np.float32, repeats: int) -> None:
    vectorise()
    for _ in range(repeats):
        for n in range(a.size):
            a[n] = b[n] + s * c[n]


def multiply_add_rate() -> float:
    """GFLOP/s of float32 multiply-adds, each counted as two."""
    x = np.zeros(2**11, dtype=np.float32)
    constants = np.float32(0.5), np.float32(1.0)
    _multiply_add(x, *constants, 1)
    started = time.perf_counter()
    _multiply_add(x, *constants, REPEATS)
    return 2 * MULTIPLY_ADDS * x.size * REPEATS / (time.perf_counter() - started) / 1e9


def triad_rate(elements: int) -> float:
    """GB/s of a[n] = b[n] + s c[n] on arrays of this size, reads and writes counted."""
    a, b, c = (np.ones(elements, dtype=np.float32) for _ in range(3))
    repeats = max(1, 2**27 // elements)
    _triad(a, b, c, np.float32(0.5), 1)
    started = time.perf_counter()
    _triad(a, b, c, np.float32(0.5), repeats)
    return 3 * a.nbytes * repeats / (time.perf_counter() - started) / 1e9


LIMITS: dict[str, Callable[[], float]] = {
    "fma_gflop_per_s": multiply_add_rate,
    "triad_l1_gb_per_s": lambda: triad_rate(2**11),
    "triad_l2_gb_per_s": lambda: triad_rate(2**16),
    "triad_memory_gb_per_s": lambda: triad_rate(2**24),
}
