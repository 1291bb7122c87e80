"""A split of a library as a Ray Dataset, which the Ray cluster streams from the files."""

from collections.abc import Sequence

import ray.data
from ray.data.expressions import col

from fwdecg.library.reader import Library
from fwdecg.library.schema import SPLIT


def split_dataset(library: Library, split: str, columns: Sequence[str]) -> ray.data.Dataset:
    """The cases of a split, one row each; only the wanted columns are read.

    Args:
        library: a finished library.
        split: "train", "validation", "test", or the test split of a shift.
        columns: names of the wanted columns.

    Raises:
        LibraryError: there is no such split, or it has no case.
    """
    library.require(split)
    cases = ray.data.read_parquet(
        library.files, filesystem=library.store.filesystem, file_extensions=["parquet"]
    )
    return cases.filter(expr=col(SPLIT) == split).select_columns(list(columns))
