"""The cases of a training in Ray's object store: one copy on each machine, for all its trials."""

import warnings
from dataclasses import dataclass, fields

import numpy as np
import ray
import torch

from fwdecg.cases.splits import TRAIN, VALIDATION
from fwdecg.library.reader import Library
from fwdecg.training.batches import Cases
from fwdecg.training.feed import read_cases
from fwdecg.training.run import Splits

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class SharedSplits:
    """Training and validation cases as arrays, which the store hands out without copying.

    Of tensors every process would get a copy of its own.
    """

    train: Arrays
    validation: Arrays

    def splits(self) -> Splits:
        """The cases; not to be changed in place."""
        return Splits(train=_cases(self.train), validation=_cases(self.validation))


def share_splits(library: Library) -> ray.ObjectRef:
    """Where the store holds the `SharedSplits` of a library.

    Raises:
        LibraryError: a split is empty, or a part cannot be read.
    """
    train, validation = (_arrays(read_cases(library, split)) for split in (TRAIN, VALIDATION))
    return ray.put(SharedSplits(train, validation))


def _arrays(cases: Cases) -> Arrays:
    tensors = {field.name: getattr(cases, field.name) for field in fields(cases)}
    return {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in tensors.items()}


def _cases(arrays: Arrays) -> Cases:
    with warnings.catch_warnings():
        # Memory that others read too cannot be written to; nor does a training write to it.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return Cases(**{name: torch.from_numpy(array) for name, array in arrays.items()})
