"""Kernels that release Python's lock, in as many threads as torch has."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import torch


def parts_of(count: int) -> list[slice]:
    """A range cut into as many even parts as torch has threads, or fewer if it is shorter."""
    threads = min(torch.get_num_threads(), count)
    ends = [count * number // threads for number in range(threads + 1)]
    return [slice(first, last) for first, last in pairwise(ends)]


def in_threads(work: Callable[[slice, int], None], parts: list[slice]) -> None:
    """Call `work` with each part and its number, each in a thread of its own."""
    if len(parts) == 1:
        work(parts[0], 0)
    else:
        list(_threads(len(parts)).map(work, parts, range(len(parts))))


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="kernels")
