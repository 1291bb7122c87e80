"""Batches of cases for training and validation.

Every worker holds the cases and draws the same permutation in each epoch from (seed, epoch); of
each global batch it takes its share. So the batches do not depend on the number of workers, and a
run that resumes at an epoch meets the very batches of one that was never interrupted.

Axes: N case, B batch, T frame, H row, W column, E electrode.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float16, Int64
from torch import Tensor

from fwdecg.training.workers import Seat


@dataclass(frozen=True, kw_only=True)
class Cases:
    """Some cases in memory, in the library's units."""

    case_id: Int64[Tensor, " N"]
    u: Float16[Tensor, "N T H W"]
    phi_e: Float[Tensor, "N T E"]

    def __len__(self) -> int:
        """Number of cases."""
        return len(self.case_id)

    def select(self, rows: Int64[Tensor, " B"]) -> "Cases":
        """The cases of some rows."""
        return Cases(case_id=self.case_id[rows], u=self.u[rows], phi_e=self.phi_e[rows])

    def mirror(self, chosen: Bool[Tensor, " N"]) -> "Cases":
        """The cases with the maps of the chosen ones turned upside down."""
        u = torch.where(chosen[:, None, None, None], self.u.flip(2), self.u)
        return replace(self, u=u)

    def to(self, device: torch.device) -> "Cases":
        """The cases on a device."""
        return Cases(
            case_id=self.case_id.to(device), u=self.u.to(device), phi_e=self.phi_e.to(device)
        )


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One worker's share of a global batch, and that batch's number of cases."""

    cases: Cases
    global_size: int


@dataclass(frozen=True, kw_only=True)
class Shuffle:
    """How an epoch deals the training cases.

    Attributes:
        batch_size: cases of a global batch; where they do not divide the split, a little fewer.
        mirror: whether every second case, at random, is turned upside down.
        seed: of the random draws, with the epoch.
        epoch: number of the epoch.
    """

    batch_size: int
    mirror: bool
    seed: int
    epoch: int


def training_batches(cases: Cases, shuffle: Shuffle, seat: Seat) -> Iterator[Batch]:
    """This worker's shares of the shuffled global batches of an epoch.

    Args:
        cases: the whole training split; at least as many cases as workers.
        shuffle: how they are dealt.
        seat: this worker's place.
    """
    rng = np.random.default_rng([shuffle.seed, shuffle.epoch])
    order = rng.permutation(len(cases))
    mirrored = torch.from_numpy((rng.random(len(cases)) < 0.5) & shuffle.mirror)
    for rows in _even_chunks(order, shuffle.batch_size, seat.workers):
        share = torch.from_numpy(rows[seat.rank :: seat.workers])
        own = cases.select(share).mirror(mirrored[share])
        yield Batch(cases=own, global_size=len(rows))


def own_batches(cases: Cases, batch_size: int, *, seat: Seat) -> Iterator[Cases]:
    """This worker's cases of a split in order, in batches of at most `batch_size`."""
    own = torch.arange(seat.rank, len(cases), seat.workers)
    for rows in own.split(batch_size):
        yield cases.select(rows)


def _even_chunks(
    order: Int64[np.ndarray, " N"], size: int, least: int
) -> list[Int64[np.ndarray, " _"]]:
    """`order` cut into chunks of at most `size`, at least `least`, of nearly the same length.

    A last chunk of one or two cases would give batch statistics of little worth, and a worker
    without any case none at all. Where the two bounds clash, `least` wins.
    """
    chunks = min(-(-len(order) // size), len(order) // least)
    return np.array_split(order, max(chunks, 1))
