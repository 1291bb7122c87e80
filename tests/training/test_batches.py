"""Batches of training and validation cases, for one and for several workers."""

import pytest
import torch
from synthetic import waves

from fwdecg.training.batches import training_batches, worker_batches
from fwdecg.training.training_config import TrainingConfig
from fwdecg.training.workers import WorkerRank


def batches(cases, *, rank=0, workers=1, epoch=3, **settings):
    config = TrainingConfig(**({"batch_size": 4} | settings))
    return list(training_batches(cases, config, epoch=epoch, rank=WorkerRank(rank, workers)))


def ids(found):
    return [cases.case_id.tolist() for cases, _ in found]


def test_the_workers_together_have_the_batches_of_one():
    cases = waves(14, seed=0)
    alone = batches(cases, mirror=True)
    parts = [batches(cases, rank=rank, workers=3, mirror=True) for rank in range(3)]
    together = [sorted(sum(batch, [])) for batch in zip(*map(ids, parts), strict=True)]
    assert together == [sorted(batch) for batch in ids(alone)]
    assert sorted(sum(ids(alone), [])) == list(range(14))
    maps = {int(i): u for own, _ in alone for i, u in zip(own.case_id, own.u, strict=True)}
    for own, _ in sum(parts, []):
        assert torch.equal(own.u, torch.stack([maps[int(i)] for i in own.case_id]))


@pytest.mark.parametrize(("count", "size", "workers"), [(239, 8, 8), (3, 2, 2)])
def test_every_worker_has_a_case_of_every_batch(count, size, workers):
    cases = waves(count, seed=0)
    for rank in range(workers):
        assert all(ids(batches(cases, rank=rank, workers=workers, batch_size=size)))


def test_batches_are_even_and_have_their_global_size():
    found = batches(waves(14, seed=0), workers=2)
    assert [(len(cases), size) for cases, size in found] == [(2, 4), (2, 4), (2, 3), (2, 3)]


def test_every_epoch_has_its_own_order():
    cases = waves(14, seed=0)
    first, again, second = (ids(batches(cases, epoch=epoch)) for epoch in (0, 0, 1))
    assert first == again != second


def test_validation_cases_are_divided_among_the_workers():
    cases = waves(5, seed=0)
    divided = [
        [batch.case_id.tolist() for batch in worker_batches(cases, 2, rank=WorkerRank(rank, 2))]
        for rank in range(2)
    ]
    assert divided == [[[0, 2], [4]], [[1, 3]]]


def test_about_half_of_the_maps_are_turned_upside_down():
    cases = waves(200, seed=0)
    cases.u[:, :, 0] = 7.0  # mark the upper row
    ((own, _),) = batches(cases, batch_size=200, mirror=True)
    turned = own.u[:, 0, -1, 0] == 7.0
    assert torch.equal(turned, own.u[:, 0, 0, 0] != 7.0)
    assert 70 < turned.sum() < 130
    assert torch.equal(own.phi_e, cases.phi_e[own.case_id])


def test_the_maps_are_turned_by_all_quarters_equally_often():
    cases = waves(400, seed=0)
    cases.u[:, :, 0, 0] = 7.0  # mark a corner
    ((own, _),) = batches(cases, batch_size=400, rotate=True)
    corners = own.u[:, 0, [0, -1, -1, 0], [0, 0, -1, -1]] == 7.0
    assert torch.equal(corners.sum(1), torch.ones(400, dtype=torch.int64))
    assert corners.sum(0).min() > 70
    assert torch.equal(own.phi_e, cases.phi_e[own.case_id])
