"""The cases of a split for training, mapped from files on the machine's own disk.

Every update needs cases from anywhere in the split. So a split is copied once from the library to
files that all workers of a machine map into memory: the kernel keeps in memory what fits, and a
library may be larger than that.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jaxtyping import Int64
from numpy.lib.format import open_memmap

from fwdecg.errors import LibraryError
from fwdecg.library.reader import Library
from fwdecg.library.schema import CASE_ID, PHI_E, U
from fwdecg.training.batches import Cases

COLUMNS = (CASE_ID, U, PHI_E)


@dataclass(frozen=True)
class Shelf:
    """Where the cases of a split are kept on one machine.

    Attributes:
        folder: of the files.
        case_ids: of all cases of the split, rising.
    """

    folder: Path
    case_ids: Int64[np.ndarray, " N"]

    def fill(self, blocks: Iterable[Mapping[str, np.ndarray]]) -> None:
        """Write the cases of some blocks of `COLUMNS`, which come in any order.

        Raises:
            LibraryError: a case is missing, comes twice, or is not of the split.
        """
        self.folder.mkdir(parents=True)
        files: dict[str, np.ndarray] = {}
        times = np.zeros(len(self.case_ids), dtype=np.int64)
        for block in blocks:
            rows = self._rows(block[CASE_ID])
            for name in (U, PHI_E):
                if name not in files:
                    shape = (len(self.case_ids), *block[name].shape[1:])
                    files[name] = open_memmap(self._file(name), "w+", block[name].dtype, shape)
                files[name][rows] = block[name]
            times += np.bincount(rows, minlength=len(times))
        if (times != 1).any():
            row = int((times != 1).argmax())
            raise LibraryError(
                f"case {self.case_ids[row]} was read {times[row]} times: must be once, as each of "
                f"the {len(times)} cases of its split; check the library with the job check_library"
            )

    def cases(self) -> Cases:
        """All cases by case id; the files may be deleted while they are in use."""
        # Copies on writing: torch takes no array that cannot be written to.
        mapped = {name: np.load(self._file(name), mmap_mode="c") for name in (U, PHI_E)}
        return Cases(
            case_id=torch.tensor(self.case_ids),
            u=torch.from_numpy(mapped[U]),
            phi_e=torch.from_numpy(mapped[PHI_E]).mT,
        )

    def _rows(self, case_ids: Int64[np.ndarray, " block"]) -> Int64[np.ndarray, " block"]:
        rows = np.searchsorted(self.case_ids, case_ids)
        strange = case_ids[self.case_ids.take(rows, mode="clip") != case_ids]
        if strange.size:
            raise LibraryError(
                f"case {strange[0]} was read: must be one of the {len(self.case_ids)} cases that "
                "the split had before; check the library with the job check_library"
            )
        return rows

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.npy"


def case_ids(library: Library, split: str) -> Int64[np.ndarray, " N"]:
    """The case ids of a split, rising.

    Raises:
        LibraryError: the split is empty, or a part cannot be read.
    """
    return library.table(split, [CASE_ID])[CASE_ID].to_numpy()


def read_cases(library: Library, split: str) -> Cases:
    """The cases of a split by case id, for this process alone.

    Raises:
        LibraryError: the split is empty, or a part cannot be read.
    """
    with TemporaryDirectory(prefix="fwdecg-cases-") as folder:
        shelf = Shelf(Path(folder) / split, case_ids(library, split))
        shelf.fill(_blocks(library, split))
        return shelf.cases()


def _blocks(library: Library, split: str) -> Iterator[Mapping[str, np.ndarray]]:
    for batch in library.batches(split, COLUMNS):
        tensors = {name: batch[name].to_numpy_ndarray() for name in (U, PHI_E)}
        yield {CASE_ID: batch[CASE_ID].to_numpy()} | tensors
