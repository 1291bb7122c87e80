"""A split of a library as a Ray Dataset, which the Ray cluster streams from the files."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import ray.data
from ray.data.expressions import col

from fwdecg.library.reader import Library
from fwdecg.library.schema import SPLIT
from fwdecg.runtime.ray_private import files_listed_by_driver


def split_dataset(
    library: Library,
    split: str,
    columns: Sequence[str],
    *,
    seed: int | None = None,
    reserve: bool = True,
) -> ray.data.Dataset:
    """The cases of a split, one row each; only the wanted columns are read.

    Nothing is read before it is iterated, and then some blocks at a time: a library may be larger
    than the memory of the cluster.

    Args:
        library: a finished library.
        split: "train", "validation", "test", or the test split of a shift.
        columns: names of the wanted columns.
        seed: if given, the files come in an order drawn from it, and in another one each time.
        reserve: whether each reader reserves a processor. If not, it runs beside others who have
            reserved all there are since the dataset was made, and may wait for the cases.

    Raises:
        LibraryError: there is no such split, it has no case, or a part is not one of a library.
    """
    library.require(split)
    free: dict[str, Any] = {} if reserve else {"num_cpus": 0}
    files = library.dataset().files  # whose columns are known to be those of a library
    with nullcontext() if reserve else files_listed_by_driver():
        cases = ray.data.read_parquet(
            files,
            filesystem=library.store.filesystem,
            file_extensions=["parquet"],
            shuffle=None if seed is None else ray.data.FileShuffleConfig(seed=seed),
            # Where nothing is reserved, only this bounds their number.
            concurrency=None if reserve else _readers(len(files)),
            **free,
        )
    # The order drawn, not that in which readers happen to finish.
    cases.context.execution_options.preserve_order = seed is not None
    return cases.filter(expr=col(SPLIT) == split, **free).select_columns(list(columns), **free)


def _readers(files: int) -> int:
    """One a processor, and no more than there are files, of which Ray would warn."""
    return min(max(int(ray.cluster_resources().get("CPU", 1)), 1), files)


def quiet_ray_data() -> None:
    """Keep what Ray says of its every execution and report out of the log."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    logging.getLogger().setLevel(logging.WARNING)


def shuffled_batches(
    cases: ray.data.Dataset | ray.data.DataIterator,
    *,
    batch_size: int,
    buffer_cases: int,
    seed: int,
) -> Iterator[Mapping[str, np.ndarray]]:
    """Batches of cases drawn at random from a buffer that the next ones fill.

    Args:
        cases: of a split, or a worker's share of it.
        batch_size: cases in a batch; the last may have fewer.
        buffer_cases: cases held at a time; what is further apart in the files cannot change places.
        seed: of the draw.
    """
    return iter(
        cases.iter_batches(
            batch_size=batch_size,
            batch_format="numpy",
            local_shuffle_buffer_size=buffer_cases,
            local_shuffle_seed=seed,
        )
    )
