"""Communication between the workers of a training; a single process needs no torch.distributed."""

from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from fwdecg.runtime.cost import Cost

# The activations of a batch take hundreds of MB, which are freed and allocated in every step. By
# default glibc returns them to the kernel each time, and page faults take a third of the step. Ray
# Train runs the loop in a thread. The arena of a thread cannot keep so much memory, so all threads
# use the main arena.
WORKER_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**28),
}


@dataclass(frozen=True)
class WorkerRank:
    """Rank of a worker among all workers of a training; 0 of 1 for a single process."""

    rank: int = 0
    workers: int = 1


def own_rank() -> WorkerRank:
    """Return the rank of this process."""
    if distributed.is_available() and distributed.is_initialized():
        return WorkerRank(distributed.get_rank(), distributed.get_world_size())
    return WorkerRank()


def sum_over_workers(values: Tensor) -> Tensor:
    """Return the elementwise sum of a tensor over all workers, the same on each of them."""
    total = values.clone()
    if own_rank().workers > 1:
        distributed.all_reduce(total)
    return total


def same_on_all_workers(number: int, device: torch.device) -> int:
    """Return, on every worker, the number that the worker of rank 0 passes."""
    own = number if own_rank().rank == 0 else 0
    return int(sum_over_workers(torch.tensor(own, device=device)).item())


def total_cost(own: Cost, device: torch.device) -> Cost:
    """Return the total cost on every worker; the peak memory is the highest of any worker."""
    spent = torch.tensor([own.core_seconds, own.gpu_seconds], dtype=torch.float64, device=device)
    peak = torch.tensor(own.peak_memory_bytes, device=device)
    if own_rank().workers > 1:
        distributed.all_reduce(peak, op=distributed.ReduceOp.MAX)
    core_seconds, gpu_seconds = sum_over_workers(spent).tolist()
    return Cost(
        core_seconds=core_seconds, gpu_seconds=gpu_seconds, peak_memory_bytes=int(peak.item())
    )


def barrier(device: torch.device) -> None:
    """Wait until all workers have reached this call."""
    sum_over_workers(torch.zeros(1, device=device)).item()


def parallel(model: torch.nn.Module) -> torch.nn.Module:
    """Wrap a model so that its gradients are averaged over the workers, if there are several."""
    if own_rank().workers == 1:
        return model
    return torch.nn.parallel.DistributedDataParallel(model)
