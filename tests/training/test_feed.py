"""The cases of a split, kept in files and mapped."""

import numpy as np
import pytest
import torch

from fwdecg.cases.splits import TRAIN
from fwdecg.errors import LibraryError
from fwdecg.library.schema import CASE_ID, PHI_E, U, tensor_column
from fwdecg.training.feed import Shelf, read_cases


def test_cases_are_those_of_the_library(small_library):
    cases, table = read_cases(small_library, TRAIN), small_library.table(TRAIN)
    assert cases.case_id.tolist() == table[CASE_ID].to_pylist()
    assert np.array_equal(cases.u, tensor_column(table, U))
    assert np.array_equal(cases.phi_e.mT, tensor_column(table, PHI_E))


def blocks(*lists):
    rng = np.random.default_rng(0)
    u, phi_e = rng.random((9, 3, 2, 2)).astype(np.float16), rng.random((9, 1, 3), dtype=np.float32)
    return [{CASE_ID: np.array(ids), U: u[ids], PHI_E: phi_e[ids]} for ids in lists]


def test_the_order_of_the_blocks_does_not_matter(tmp_path):
    ids = np.array([1, 4, 5, 8])
    shelves = [Shelf(tmp_path / name, ids) for name in ("rising", "mixed")]
    shelves[0].fill(blocks([1, 4], [5, 8]))
    shelves[1].fill(blocks([8], [5, 1], [4]))
    rising, mixed = (shelf.cases() for shelf in shelves)
    assert torch.equal(rising.u, mixed.u)
    assert torch.equal(rising.phi_e, mixed.phi_e)


def test_what_workers_change_in_memory_does_not_reach_the_files(tmp_path):
    shelf = Shelf(tmp_path / "shelf", np.array([0, 1]))
    shelf.fill(blocks([0, 1]))
    first = shelf.cases()
    first.u.zero_()
    assert shelf.cases().u.any()


@pytest.mark.parametrize(
    ("asked", "read", "message"),
    [
        ([1, 4, 5], [[1, 5]], "case 4 was read 0 times: must be once, as each of the 3 cases"),
        ([3, 7], [[3, 3]], "case 3 was read 2 times"),
        ([3, 7], [[3, 7], [3]], "case 3 was read 2 times"),
        ([3, 3], [[3, 3]], "case 3 was read 2 times"),
        ([3, 7], [[3, 5]], "case 5 was read: must be one of the 2 cases that the split had"),
        ([3, 7], [[3, 7], [8]], "case 8 was read: must be one of"),
    ],
)
def test_each_case_of_the_split_must_be_read_once(tmp_path, asked, read, message):
    with pytest.raises(LibraryError, match=message):
        Shelf(tmp_path / "shelf", np.array(asked)).fill(blocks(*read))
