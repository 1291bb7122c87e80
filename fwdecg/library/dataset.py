"""Read a split of a library as a Ray Dataset, which the cluster streams from the files."""

import logging
from collections.abc import Sequence

import ray.data
from ray.data.expressions import col

from fwdecg.library.reader import Library
from fwdecg.library.schema import SPLIT
from fwdecg.runtime.ray_private import files_listed_by_driver


def split_dataset(library: Library, split: str, columns: Sequence[str]) -> ray.data.Dataset:
    """Return the cases of a split as a Ray Dataset with one row per case.

    Rows are read when the dataset is iterated, a few blocks at a time, so a library may be larger
    than the cluster's memory. The tasks that read the files reserve no CPU, so they can run while
    the training workers occupy every CPU and wait for cases.

    Args:
        library: finished library.
        split: "train", "validation", "test", or the test split of a shift.
        columns: columns to read.

    Raises:
        LibraryError: there is no such split, it is empty, or a part cannot be opened or has a
            column that the schema lacks.
    """
    library.require_cases(split)
    files = library.dataset().files  # checks the columns of all parts
    cpus = max(int(ray.cluster_resources().get("CPU", 1)), 1)
    with files_listed_by_driver():
        cases = ray.data.read_parquet(
            files,
            filesystem=library.store.filesystem,
            file_extensions=None,  # Ray would drop all files of a folder with "?" in its path
            num_cpus=0,
            # Without reserved CPUs, only this limits the number of tasks. Ray warns if it exceeds
            # the number of files.
            concurrency=min(cpus, len(files)),
        )
    chosen = cases.filter(expr=col(SPLIT) == split, num_cpus=0)
    return chosen.select_columns(list(columns), num_cpus=0)


def quiet_ray_data() -> None:
    """Turn off Ray Data's progress bars and messages, except errors."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    logging.getLogger().setLevel(logging.WARNING)
