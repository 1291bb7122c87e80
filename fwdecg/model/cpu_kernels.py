"""Support for the numba kernels that replace chains of torch operations on a CPU."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor


def kernels_support(tensor: Tensor, *dtypes: torch.dtype) -> bool:
    """Return whether a kernel for these precisions can process a tensor.

    The result is False while torch compiles or exports, because such programs can contain only
    torch operations.
    """
    return (
        tensor.device.type == "cpu"
        and tensor.dtype in dtypes
        and not torch.compiler.is_compiling()  # also true during an export
    )


def split_range(count: int) -> list[slice]:
    """Split range(count) into even, non-empty parts: at most one per torch thread."""
    threads = min(torch.get_num_threads(), count)
    ends = [count * number // threads for number in range(threads + 1)]
    return [slice(first, last) for first, last in pairwise(ends)]


def run_in_threads(work: Callable[[slice, int], None], parts: list[slice]) -> None:
    """Call `work(part, number)` for each part in its own thread; kernels release the GIL."""
    if len(parts) == 1:
        work(parts[0], 0)
    else:
        list(_thread_pool(len(parts)).map(work, parts, range(len(parts))))


@cache
def _thread_pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="kernels")
