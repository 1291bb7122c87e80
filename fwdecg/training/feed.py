"""Cases of a library in a worker's memory, read by pyarrow or handed over by Ray Data."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch

from fwdecg.library.reader import Library
from fwdecg.library.schema import CASE_ID, PHI_E, U, tensor_column
from fwdecg.training.batches import Cases

COLUMNS = (CASE_ID, U, PHI_E)


def read_cases(library: Library, split: str) -> Cases:
    """The cases of a split, by case id.

    Raises:
        LibraryError: the split is empty, or a part cannot be read.
    """
    table = library.table(split, COLUMNS)
    tensors = {name: tensor_column(table, name) for name in (U, PHI_E)}
    return _cases({CASE_ID: table[CASE_ID].to_numpy()} | tensors)


def collect_cases(blocks: Iterable[Mapping[str, np.ndarray]]) -> Cases:
    """The cases of some blocks of `COLUMNS`, by case id whatever the order of the blocks."""
    held = list(blocks)
    return _cases({name: np.concatenate([block[name] for block in held]) for name in COLUMNS})


def _cases(columns: Mapping[str, np.ndarray]) -> Cases:
    cases = Cases(
        case_id=torch.tensor(columns[CASE_ID]),
        u=torch.tensor(columns[U]),
        phi_e=torch.tensor(columns[PHI_E]).mT.contiguous(),
    )
    return cases.sorted()
