"""What the workers of a distributed training run agree on, through torch.distributed if it runs."""

from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from fwdecg.runtime.cost import Cost

# Activations of a batch are hundreds of MB, freed and asked for again in every step. By default
# glibc returns them to the kernel each time, and a third of the step goes into page faults. One
# arena, because Ray Train runs the loop in a thread, whose own arena could not hold them.
WORKER_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**28),
}


@dataclass(frozen=True)
class Seat:
    """This worker's place: `rank` of `workers`; 0 of 1 where nothing is distributed."""

    rank: int = 0
    workers: int = 1


def own_seat() -> Seat:
    """The place of this process among the workers."""
    if distributed.is_available() and distributed.is_initialized():
        return Seat(distributed.get_rank(), distributed.get_world_size())
    return Seat()


def sum_over_workers(values: Tensor) -> Tensor:
    """The elementwise sum of a tensor over all workers, the same on each of them."""
    total = values.clone()
    if own_seat().workers > 1:
        distributed.all_reduce(total)
    return total


def total_cost(own: Cost, device: torch.device) -> Cost:
    """What all workers spent, the same on each of them."""
    spent = torch.tensor([own.core_seconds, own.gpu_seconds], dtype=torch.float64, device=device)
    peak = torch.tensor(own.peak_memory_bytes, device=device)
    if own_seat().workers > 1:
        distributed.all_reduce(peak, op=distributed.ReduceOp.MAX)
    core_seconds, gpu_seconds = sum_over_workers(spent).tolist()
    return Cost(
        core_seconds=core_seconds, gpu_seconds=gpu_seconds, peak_memory_bytes=int(peak.item())
    )


def wait_for_all(device: torch.device) -> None:
    """Return when all workers have come here, each with its own device."""
    sum_over_workers(torch.zeros(1, device=device)).item()


def parallel(model: torch.nn.Module) -> torch.nn.Module:
    """The model with gradients averaged over the workers; itself if there is only one."""
    if own_seat().workers == 1:
        return model
    return torch.nn.parallel.DistributedDataParallel(model)
