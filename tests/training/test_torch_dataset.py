"""The cases of a library through PyTorch's DataLoader, in this process and in workers."""

import pickle
import shutil

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import fwdecg
from fwdecg.errors import LibraryError
from fwdecg.library.reader import open_library
from fwdecg.training import torch_dataset as module


@pytest.fixture
def training(cases):
    """Numbers of the training cases, their maps and their ECGs."""
    rows = [row for row, split in enumerate(cases.split) if split == "train"]
    return [cases.case_id[row] for row in rows], cases.u[rows], cases.phi_e[rows]


def test_items_are_those_of_the_library(library, training):
    case_ids, u, phi_e = training
    dataset = fwdecg.torch_dataset(library)
    assert dataset.case_ids == case_ids
    assert len(dataset) == len(case_ids)
    for index in (3, 0, len(dataset) - 1, -1):
        item_u, item_phi_e = dataset[index]
        assert item_u.dtype == item_phi_e.dtype == torch.float32
        np.testing.assert_array_equal(item_u, u[index])
        np.testing.assert_array_equal(item_phi_e, phi_e[index])
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_items_may_be_changed_in_place(library, training):
    dataset = fwdecg.torch_dataset(library)
    for tensor in dataset[0]:
        tensor.zero_()
    np.testing.assert_array_equal(dataset[0][0], training[1][0])
    np.testing.assert_array_equal(dataset[0][1], training[2][0])


@pytest.mark.parametrize("options", [{"num_workers": 0}, {"num_workers": 1}])
def test_batches_of_a_loader(library, training, options):
    batches = list(DataLoader(fwdecg.torch_dataset(library), batch_size=3, **options))
    assert [len(u) for u, _ in batches] == [3, 3, 2]
    np.testing.assert_array_equal(torch.cat([u for u, _ in batches]), training[1])
    np.testing.assert_array_equal(torch.cat([phi_e for _, phi_e in batches]), training[2])


@pytest.mark.slow
def test_workers_may_be_spawned(library, run_python, training, tmp_path):
    """This runs in a new process, as a user's script."""
    script = tmp_path / "script.py"
    script.write_text(
        "import fwdecg\n"
        "from torch.utils.data import DataLoader\n"
        "if __name__ == '__main__':\n"
        f"    dataset = fwdecg.torch_dataset({str(library.store.folder)!r})\n"
        "    options = {'num_workers': 2, 'multiprocessing_context': 'spawn', 'shuffle': True}\n"
        "    batches = list(DataLoader(dataset, batch_size=3, **options))\n"
        "    print(sum(len(u) for u, _ in batches), sum(float(u.sum()) for u, _ in batches))\n"
    )
    count, total = run_python(script).stdout.split()
    assert int(count) == len(training[0])
    # The sum of 40960 float32 values, in another order: relative error below 1e-3.
    assert float(total) == pytest.approx(training[1].astype(float).sum(), rel=1e-3)


def test_a_copy_for_a_worker_has_no_cases_in_memory(library, training):
    dataset = fwdecg.torch_dataset(library)
    dataset[0]
    content = pickle.dumps(dataset)
    assert len(content) < training[1][0].nbytes
    np.testing.assert_array_equal(pickle.loads(content)[0][0], training[1][0])


def test_only_the_last_row_groups_stay_in_memory(library, training, monkeypatch):
    monkeypatch.setattr(module, "CACHE_BYTES", 1)
    dataset = fwdecg.torch_dataset(library)
    for index in (0, len(dataset) - 1, 0):
        np.testing.assert_array_equal(dataset[index][0], training[1][index])
        assert len(dataset._cache) == 1


@pytest.mark.parametrize("split", ["validation", "test"])
def test_other_splits(library, cases, split):
    dataset = fwdecg.torch_dataset(str(library.store.folder), split)
    assert dataset.case_ids == [
        case_id for case_id, its in zip(cases.case_id, cases.split, strict=True) if its == split
    ]


def test_a_split_that_does_not_exist(library):
    with pytest.raises(LibraryError, match="has no split holdout, only train, validation, test"):
        fwdecg.torch_dataset(library, "holdout")


def test_a_damaged_part_is_named(library, tmp_path):
    root = tmp_path / "library"
    shutil.copytree(library.store.folder, root)
    part = min((root / "cases").iterdir())
    dataset = fwdecg.torch_dataset(open_library(root))
    content = bytearray(part.read_bytes())
    content[100:8000] = bytes(7900)
    part.write_bytes(content)
    with pytest.raises(LibraryError, match="a part cannot be read .*; check it with check_library"):
        dataset[0]
