"""The cases of a split, written to files and memory-mapped."""

import errno

import numpy as np
import pytest
import torch

from fwdecg.cases.splits import TRAIN, VALIDATION
from fwdecg.errors import LibraryError
from fwdecg.library.schema import CASE_ID, PHI_E, U, tensor_column
from fwdecg.training.split_files import SplitFiles, read_splits


def test_splits_equal_the_library(small_library):
    splits = read_splits(small_library)
    for name, cases in ((TRAIN, splits.train), (VALIDATION, splits.validation)):
        table = small_library.table(name)
        assert cases.case_id.tolist() == table[CASE_ID].to_pylist()
        assert np.array_equal(cases.u, tensor_column(table, U))
        assert np.array_equal(cases.phi_e.mT, tensor_column(table, PHI_E))


def blocks(*lists):
    rng = np.random.default_rng(0)
    u, phi_e = rng.random((9, 3, 2, 2)).astype(np.float16), rng.random((9, 1, 3), dtype=np.float32)
    return [{CASE_ID: np.array(ids), U: u[ids], PHI_E: phi_e[ids]} for ids in lists]


def test_the_order_of_the_blocks_does_not_matter(tmp_path):
    ids = np.array([1, 4, 5, 8])
    ascending, mixed = (SplitFiles(tmp_path / name, ids) for name in ("ascending", "mixed"))
    ascending.write(blocks([1, 4], [5, 8]))
    mixed.write(blocks([8], [5, 1], [4]))
    expected, found = ascending.open(), mixed.open()
    assert torch.equal(expected.u, found.u)
    assert torch.equal(expected.phi_e, found.phi_e)


def test_a_constant_ecg_is_an_error(tmp_path):
    (block,) = blocks([3, 4])
    block[PHI_E][1, 0] = 0.5
    message = "case 4: the ECG of electrode 0 is constant: it must vary; check the library"
    with pytest.raises(LibraryError, match=message):
        SplitFiles(tmp_path / "split", np.array([3, 4])).write([block])


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, monkeypatch):
    """Without reserved blocks, the process would get SIGBUS."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/split/u\.npy'"):
        SplitFiles(tmp_path / "split", np.array([1, 4])).write(blocks([1, 4]))


def test_changes_in_memory_do_not_reach_the_files(tmp_path):
    files = SplitFiles(tmp_path / "split", np.array([0, 1]))
    files.write(blocks([0, 1]))
    files.open().u.zero_()
    assert files.open().u.any()


@pytest.mark.parametrize(
    ("case_ids", "read", "message"),
    [
        ([1, 4, 5], [[1, 5]], "case 4 was read 0 times: each of the 3 cases"),
        ([3, 7], [[3, 7], [3]], "case 3 was read 2 times"),
        ([3, 7], [[3, 5]], "case 5 was read: must be one of the 2 cases that the split had"),
        ([3, 7], [[3, 7], [8]], "case 8 was read: must be one of"),
    ],
)
def test_each_case_of_the_split_must_be_read_once(tmp_path, case_ids, read, message):
    with pytest.raises(LibraryError, match=message):
        SplitFiles(tmp_path / "split", np.array(case_ids)).write(blocks(*read))
