"""Rows of a part, one at a time, in bounded memory."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.library.check.fault import Check, Fault
from fwdecg.library.check.limits import case_bytes
from fwdecg.library.check.schema_check import nulls
from fwdecg.library.schema import NULLABLE

BATCH_BYTES = 2**23  # of tensors; pyarrow needs about five times as much to decode them

# Names of a row's columns to values; those that cannot be read are left out.
Row = Mapping[str, Any]
A = TypeVar("A")
RowCheck = tuple[Sequence[str], Callable[[Row, A], Iterator[str]]]


def rows(
    file: str, parquet: pq.ParquetFile, columns: Sequence[str], config: LibraryConfig
) -> Generator[Fault | Row, None, None]:
    """The rows of a part, and a fault for every column of a batch that holds nulls."""
    size = max(int(BATCH_BYTES / case_bytes(config)), 1)
    for batch in parquet.iter_batches(batch_size=size, columns=list(columns)):
        values = {}
        for name in columns:
            column = batch.column(name)
            missing = 0 if name in NULLABLE else nulls(column)
            if missing:
                yield Fault(Check.SCHEMA, file, f"column {name} holds nulls, {missing} of them")
            else:
                values[name] = _values(column)
        for index in range(batch.num_rows):
            yield {name: column[index] for name, column in values.items()}


def problems(checks: Sequence[RowCheck[A]], row: Row, against: A) -> Iterator[str]:
    """What those checks find whose columns the row has."""
    for columns, check in checks:
        if row.keys() >= set(columns):
            yield from check(row, against)


def _values(column: pa.Array) -> np.ndarray | list[Any]:
    """A column's values: arrays of tensors, else plain ones."""
    if isinstance(column, pa.FixedShapeTensorArray):
        return column.to_numpy_ndarray()
    return column.to_pylist()
