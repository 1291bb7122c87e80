"""Copy the cases of a split to the local disk, and map them into memory for training.

Every batch needs cases from anywhere in the split. A split is therefore copied once from the
library into files, which all workers of a machine map into memory. The kernel caches as much of
them as fits, so a library may be larger than the memory.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jaxtyping import Int64
from numpy.lib.format import open_memmap

from fwdecg.cases.splits import TRAIN, VALIDATION
from fwdecg.errors import LibraryError
from fwdecg.library.reader import Library
from fwdecg.library.schema import CASE_ID, PHI_E, U
from fwdecg.runtime.storage import errors_that_name
from fwdecg.training.batches import Cases, Splits

COLUMNS = (CASE_ID, U, PHI_E)


@dataclass(frozen=True)
class SplitFiles:
    """The files of a split on one machine.

    Attributes:
        folder: folder of the files.
        case_ids: ids of all cases of the split, in ascending order.
    """

    folder: Path
    case_ids: Int64[np.ndarray, " N"]

    def write(self, blocks: Iterable[Mapping[str, np.ndarray]]) -> None:
        """Write the files from blocks of cases with the columns `COLUMNS`, in any order.

        Raises:
            LibraryError: a case is missing, occurs twice, does not belong to the split, or has a
                constant ECG.
        """
        self.folder.mkdir(parents=True)
        files: dict[str, np.ndarray] = {}
        counts = np.zeros(len(self.case_ids), dtype=np.int64)
        for block in blocks:
            rows = self._rows(block[CASE_ID])
            _require_variance(block)
            for name in (U, PHI_E):
                if name not in files:
                    shape = (len(self.case_ids), *block[name].shape[1:])
                    files[name] = _create(self.folder / f"{name}.npy", block[name].dtype, shape)
                files[name][rows] = block[name]
            counts += np.bincount(rows, minlength=len(counts))
        if (counts != 1).any():
            row = int((counts != 1).argmax())
            raise LibraryError(
                f"case {self.case_ids[row]} was read {counts[row]} times: each of the "
                f"{len(counts)} cases of the split must be read once; check the library with the "
                "job check_library"
            )

    def open(self) -> Cases:
        """Return the mapped cases, sorted by case id; the files may be deleted while in use."""
        # Mode "c" maps copy-on-write: torch does not accept read-only arrays.
        mapped = {name: np.load(self.folder / f"{name}.npy", mmap_mode="c") for name in (U, PHI_E)}
        return Cases(
            case_id=torch.tensor(self.case_ids),
            u=torch.from_numpy(mapped[U]),
            phi_e=torch.from_numpy(mapped[PHI_E]).mT,
        )

    def _rows(self, case_ids: Int64[np.ndarray, " block"]) -> Int64[np.ndarray, " block"]:
        rows = np.searchsorted(self.case_ids, case_ids)
        unknown = case_ids[self.case_ids.take(rows, mode="clip") != case_ids]
        if unknown.size:
            raise LibraryError(
                f"case {unknown[0]} was read: must be one of the {len(self.case_ids)} cases that "
                "the split had before; check the library with the job check_library"
            )
        return rows


def _require_variance(block: Mapping[str, np.ndarray]) -> None:
    """Raise `LibraryError` if an ECG (case, electrode, frame) of a block is constant."""
    constant = np.argwhere(np.ptp(block[PHI_E], axis=2) == 0)
    if len(constant):
        case, electrode = constant[0]
        raise LibraryError(
            f"case {block[CASE_ID][case]}: the ECG of electrode {electrode} is constant: it must "
            "vary; check the library with the job check_library, and build it again"
        )


def _create(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """Return a mapped array in a new file, whose blocks are reserved on the disk.

    Without them, writing to the array on a full disk would kill the process with SIGBUS.
    """
    array = open_memmap(path, "w+", dtype, shape)
    with errors_that_name(path), path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def split_case_ids(library: Library, split: str) -> Int64[np.ndarray, " N"]:
    """Return the case ids of a split in ascending order.

    Raises:
        LibraryError: the split is empty, or a part cannot be read.
    """
    return library.table(split, [CASE_ID])[CASE_ID].to_numpy()


def read_splits(library: Library) -> Splits:
    """Return the training and validation cases of a library, mapped from temporary files.

    Raises:
        LibraryError: a split is empty, or a part cannot be read.
    """
    return Splits(train=_read_split(library, TRAIN), validation=_read_split(library, VALIDATION))


def _read_split(library: Library, split: str) -> Cases:
    with TemporaryDirectory(prefix="fwdecg-cases-") as folder:
        files = SplitFiles(Path(folder) / split, split_case_ids(library, split))
        files.write(_blocks(library, split))
        return files.open()


def _blocks(library: Library, split: str) -> Iterator[Mapping[str, np.ndarray]]:
    for batch in library.batches(split, COLUMNS):
        tensors = {name: batch[name].to_numpy_ndarray() for name in (U, PHI_E)}
        yield {CASE_ID: batch[CASE_ID].to_numpy()} | tensors
