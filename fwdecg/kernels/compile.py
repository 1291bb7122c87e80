"""How numba compiles kernels, wherever they lie."""

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit, types
from numba.extending import intrinsic

# What vectorising needs: fused multiply-add and division by reciprocal, but infinities and NaN
# kept, so that a simulation that blows up is seen.
FAST_MATH = {"contract", "arcp", "nsz"}

_PACKAGE = Path(__file__).parents[1]
_FILES = [
    path for room in ("kernels", "physics") for path in sorted((_PACKAGE / room).glob("*.py"))
]
SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in _FILES)).hexdigest()


def cache_folder() -> Path:
    """Where machine code is kept."""
    return Path(kernel()(_nothing)._cache.cache_path)


def _nothing() -> None:
    """A function to ask numba about."""


def kernel(
    *, inline: bool = False, reassociate: bool = False
) -> Callable[[Callable[..., Any]], Any]:
    """A decorator that compiles a function on its first call and keeps the machine code on disk.

    Other Python threads go on meanwhile. Division by zero gives infinity instead of an exception,
    whose check would keep the compiler from vectorising. `inline` puts a small function bodily into
    its callers; `reassociate` lets a sum be taken in several lanes.
    """

    def compile_lazily(function: Callable[..., Any]) -> Any:
        # A run-time type checker may have wrapped the function; numba needs the bare one.
        bare = inspect.unwrap(function)
        options: dict[str, Any] = {"inline": "always"} if inline else {}
        fast = FAST_MATH | {"reassoc"} if reassociate else FAST_MATH
        compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath=fast, **options)(bare)
        # numba asks only whether the function's own file has changed, but the machine code holds
        # constants, tuples and inlined functions of its neighbours too.
        index = compiled._cache._cache_file
        index._source_stamp = (index._source_stamp, SOURCES)
        return compiled

    return compile_lazily


def _vectorise(_typing: Any) -> Any:
    """Called in a kernel: what it writes overlaps nothing else; use the widest vectors.

    Without the promise the compiler tests before every loop whether arrays overlap. And by default
    it keeps to vectors of 256 bits where there are 512, out of care for the clock of processors
    that have long been superseded.
    """

    def mark(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        # llvmlite's own `add` refuses attributes that carry a value.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        for argument in builder.function.args:
            if argument.type.is_pointer and argument.name.endswith(_DATA_OF_ARRAY):
                argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.none(), mark


_DATA_OF_ARRAY = ".4"  # numba passes an array as its members; the fifth points to the data

# Named by assignment: a type checker would ask for the typing context that numba passes itself.
vectorise: Any = intrinsic(_vectorise)
