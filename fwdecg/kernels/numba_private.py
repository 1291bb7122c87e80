"""Private and undocumented parts of numba that fwdecg depends on; checked with numba 0.68.1.

Every use of such a part goes through this module. After an upgrade of numba, run the tests of
kernels and physics, check these functions against numba's source, and raise the upper bound in
pyproject.toml.
"""

from pathlib import Path
from typing import Any

# numba passes an array to a compiled function as one argument per member of its array structure.
# The fifth member is the pointer to the data.
DATA_POINTER_SUFFIX = ".4"


def cache_path(compiled: Any) -> Path:
    """Return the folder in which numba stores the machine code of a compiled function."""
    return Path(compiled._cache.cache_path)


def source_stamp(compiled: Any) -> Any:
    """Return the stamp that numba compares to decide whether cached code is up to date."""
    return compiled._cache._cache_file._source_stamp


def extend_source_stamp(compiled: Any, extra: str) -> None:
    """Make cached machine code valid only while `extra` stays the same as well.

    By default numba compares only the modification time and size of the file that defines the
    function.
    """
    cache_file = compiled._cache._cache_file
    cache_file._source_stamp = (cache_file._source_stamp, extra)


def prefer_512_bit_vectors(function: Any) -> None:
    """Add the attribute for 512-bit vectors to an LLVM function under construction.

    `set.add` bypasses llvmlite's own `add`, which accepts only names that it knows, and no values.
    """
    set.add(function.attributes, '"prefer-vector-width"="512"')


def mark_arrays_as_not_overlapping(function: Any) -> None:
    """Promise LLVM that the array arguments of a function under construction do not overlap."""
    for argument in function.args:
        if argument.type.is_pointer and argument.name.endswith(DATA_POINTER_SUFFIX):
            argument.add_attribute("noalias")
