"""Compilation with numba: the decorator `kernel`, and the hint `vectorise` for its loops."""

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit, types
from numba.extending import intrinsic

from fwdecg.kernels.numba_private import (
    extend_source_stamp,
    mark_arrays_as_not_overlapping,
    prefer_512_bit_vectors,
)

# Fused multiply-add, multiplication by a reciprocal, and zeros of either sign are allowed. `nnan`
# and `ninf` are left out, because infinities and NaN reveal a diverging simulation.
FAST_MATH_FLAGS = {"contract", "arcp", "nsz"}

_PACKAGE = Path(__file__).parents[1]
_FILES = [
    path for folder in ("kernels", "physics") for path in sorted((_PACKAGE / folder).glob("*.py"))
]
# Hash of all sources that cached machine code can contain as constants or inlined functions.
SOURCE_HASH = hashlib.sha256(b"".join(path.read_bytes() for path in _FILES)).hexdigest()


def kernel(
    *, inline: bool = False, reassociate: bool = False
) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function on its first call and caches the machine code.

    The compiled function releases the GIL. Division by zero gives infinity; raising an exception
    would need a check that prevents vectorisation.

    Args:
        inline: insert the function's body into its callers.
        reassociate: allow the compiler to reorder sums, so that it can vectorise them.
    """

    def compile_lazily(function: Callable[..., Any]) -> Any:
        # A run-time type checker may have wrapped the function; numba needs the original.
        original = inspect.unwrap(function)
        options: dict[str, Any] = {"inline": "always"} if inline else {}
        flags = FAST_MATH_FLAGS | {"reassoc"} if reassociate else FAST_MATH_FLAGS
        compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath=flags, **options)(
            original
        )
        extend_source_stamp(compiled, SOURCE_HASH)
        return compiled

    return compile_lazily


def _vectorise(_typing: Any) -> Any:
    """Let the compiler use the widest vectors, and assume that a kernel's arrays do not overlap.

    Call it at the top of a kernel. By default the compiler tests before every loop whether arrays
    overlap. It also limits vectors to 256 bits, because older CPUs lower their clock rate for 512
    bits.
    """

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        prefer_512_bit_vectors(builder.function)
        mark_arrays_as_not_overlapping(builder.function)
        return context.get_dummy_value()

    return types.none(), generate


# An assignment instead of a decorator, because type checkers would require callers to pass the
# typing context, which numba passes itself.
vectorise: Any = intrinsic(_vectorise)
