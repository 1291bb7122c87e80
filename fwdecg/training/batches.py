"""Batches of cases for training and validation.

Every worker maps all cases into memory. In each epoch all workers draw the same permutation from
(seed, epoch), and each worker takes its part of every global batch. The global batches therefore do
not depend on the number of workers, unless a worker would get no case of a batch. A resumed
training sees the same batches as an uninterrupted one.

Axes: N case, B batch, T frame, H row, W column, E electrode.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float16, Int64
from torch import Tensor

from fwdecg.training.training_config import TrainingConfig
from fwdecg.training.workers import WorkerRank


@dataclass(frozen=True, kw_only=True)
class Cases:
    """Cases in memory, in the units of the library."""

    case_id: Int64[Tensor, " N"]
    u: Float16[Tensor, "N T H W"]
    phi_e: Float[Tensor, "N T E"]

    def __len__(self) -> int:
        """Number of cases."""
        return len(self.case_id)

    def select(self, rows: Int64[Tensor, " B"]) -> "Cases":
        """Return the cases in the given rows."""
        return Cases(case_id=self.case_id[rows], u=self.u[rows], phi_e=self.phi_e[rows])


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The cases for training and for validation."""

    train: Cases
    validation: Cases


def training_batches(
    cases: Cases, config: TrainingConfig, *, epoch: int, rank: WorkerRank
) -> Iterator[tuple[Cases, int]]:
    """Yield this worker's part of each global batch, and the number of cases of the whole batch.

    Args:
        cases: the whole training split, with at least as many cases as there are workers.
        config: configuration of the training; batch size, mirroring, turning and seed matter here.
        epoch: number of the epoch; with `config.seed` it seeds the random draws.
        rank: rank of this worker.
    """
    rng = np.random.default_rng([config.seed, epoch])
    order = rng.permutation(len(cases))
    mirrored = torch.from_numpy((rng.random(len(cases)) < 0.5) & config.mirror)
    turns = torch.from_numpy(rng.integers(4, size=len(cases)) * config.rotate)
    for rows in _even_chunks(order, config.batch_size, rank.workers):
        own_rows = torch.from_numpy(rows[rank.rank :: rank.workers])
        own = cases.select(own_rows)
        u = torch.where(mirrored[own_rows, None, None, None], own.u.flip(2), own.u)
        if config.rotate:
            turned = zip(u, turns[own_rows].tolist(), strict=True)
            u = torch.stack([maps.rot90(quarters, (1, 2)) for maps, quarters in turned])
        yield replace(own, u=u), len(rows)


def worker_batches(cases: Cases, batch_size: int, *, rank: WorkerRank) -> Iterator[Cases]:
    """Yield this worker's cases of a split in order, in batches of at most `batch_size`."""
    own_rows = torch.arange(rank.rank, len(cases), rank.workers)
    for rows in own_rows.split(batch_size):
        yield cases.select(rows)


def _even_chunks(
    order: Int64[np.ndarray, " N"], size: int, least: int
) -> list[Int64[np.ndarray, " _"]]:
    """Return `order` in chunks of nearly equal length, between `least` and `size`.

    A last chunk of one or two cases would give poor batch statistics, and a worker without a case
    would have none. If the two bounds contradict each other, `least` takes precedence.
    """
    chunks = min(-(-len(order) // size), len(order) // least)
    return np.array_split(order, max(chunks, 1))
