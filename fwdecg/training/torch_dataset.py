"""The cases of a library as a PyTorch dataset, for training networks of one's own."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from fwdecg.cases.splits import TRAIN
from fwdecg.errors import LibraryError
from fwdecg.library.reader import Library, open_library
from fwdecg.library.schema import CASE_ID, PHI_E, SPLIT, U, tensor_column

CACHE_BYTES = 512 * 2**20  # maps and ECGs that each process keeps; 390 of the paper's cases

Maps = Float[Tensor, "frame row col"]
Ecg = Float[Tensor, "electrode frame"]


class CaseDataset(Dataset[tuple[Maps, Ecg]]):
    """The cases of a split, sorted by case id; an item is (u, phi_e) in the library's units.

    u is dimensionless and phi_e is in mm/ms, both float32. Cases are read when they are asked for,
    a row group of a Parquet file at a time, and each process keeps the last row groups in memory. A
    DataLoader may start its workers in any way ("fork", "spawn" or "forkserver").

    Attributes:
        case_ids: number of each case.
    """

    def __init__(self, library: Library, split: str) -> None:
        """Find the cases of a split, without reading their maps.

        Raises:
            LibraryError: there is no such split, it is empty, or a part cannot be read.
        """
        library.require_cases(split)
        self._location = library.location
        self._groups: list[Any] = []
        found = []
        try:
            for part in library.dataset().get_fragments():
                for group in part.split_by_row_group():
                    table = group.to_table(columns=[CASE_ID, SPLIT], use_threads=False)
                    rows = zip(table[CASE_ID].to_pylist(), table[SPLIT].to_pylist(), strict=True)
                    found += [
                        (case_id, len(self._groups), row)
                        for row, (case_id, its_split) in enumerate(rows)
                        if its_split == split
                    ]
                    self._groups.append(group)
        except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
            raise self._unreadable(error) from error
        self._rows = sorted(found)
        self.case_ids = [case_id for case_id, _, _ in self._rows]
        self._cache: OrderedDict[int, tuple[Tensor, Tensor]] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of cases."""
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[Maps, Ecg]:
        """Return the maps and the ECG of a case.

        Raises:
            IndexError: there are not so many cases.
            LibraryError: the part cannot be read.
        """
        _, group, row = self._rows[index]
        u, phi_e = self._read(group)
        # The user may change the item, but not what is kept for the next epoch.
        return u[row].to(torch.float32, copy=True), phi_e[row].to(torch.float32, copy=True)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a worker needs; each fills its own cache."""
        return self.__dict__ | {"_cache": OrderedDict()}

    def _read(self, group: int) -> tuple[Tensor, Tensor]:
        """Return the maps and ECGs of a row group, and keep them for the next call."""
        if group not in self._cache:
            try:
                table = self._groups[group].to_table(columns=[U, PHI_E], use_threads=False)
            except (OSError, ValueError) as error:
                raise self._unreadable(error) from error
            # torch.tensor copies the array. Arrow's arrays are read-only.
            tensors = (
                torch.tensor(tensor_column(table, U)),
                torch.tensor(tensor_column(table, PHI_E)),
            )
            self._cache[group] = tensors
            size = sum(tensor.nbytes for tensor in tensors)
            while len(self._cache) > max(CACHE_BYTES // size, 1):
                self._cache.popitem(last=False)
        self._cache.move_to_end(group)
        return self._cache[group]

    def _unreadable(self, error: Exception) -> LibraryError:
        reason = str(error).splitlines()[0]
        return LibraryError(
            f"{self._location}: a part cannot be read ({reason}); check it with check_library"
        )


def torch_dataset(library: Library | str | Path, split: str = TRAIN) -> CaseDataset:
    """Return the cases of a split as a PyTorch dataset with the items (u, phi_e).

    `torch.utils.data.DataLoader` batches them to (case, frame, row, col) and (case, electrode,
    frame).

    Args:
        library: open library, or its folder or URI.
        split: "train", "validation", "test", or the test split of a shift.

    Raises:
        LibraryError: there is no such library or split, the split is empty, or a part cannot be
            read.
    """
    opened = library if isinstance(library, Library) else open_library(library)
    return CaseDataset(opened, split)
