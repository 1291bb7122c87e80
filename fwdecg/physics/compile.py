"""How numba compiles the kernels of this package."""

import inspect
from collections.abc import Callable
from typing import Any

from numba import njit

# What vectorising needs: fused multiply-add and division by reciprocal, but infinities and NaN
# kept, so that a simulation that blows up is seen.
FAST_MATH = {"contract", "arcp", "nsz"}


def kernel(*, inline: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """A decorator that compiles a function on its first call and keeps the machine code on disk.

    Division by zero gives infinity instead of an exception, whose check would keep the compiler
    from vectorising. `inline` puts a small function bodily into its callers.
    """

    def compile_lazily(function: Callable[..., Any]) -> Any:
        # A run-time type checker may have wrapped the function; numba needs the bare one.
        bare = inspect.unwrap(function)
        options: dict[str, Any] = {"inline": "always"} if inline else {}
        return njit(cache=True, error_model="numpy", fastmath=FAST_MATH, **options)(bare)

    return compile_lazily
