"""Batches of training and validation cases, for one and for several workers."""

import pytest
import torch
from synthetic import waves

from fwdecg.training.batches import Shuffle, training_batches, worker_batches
from fwdecg.training.workers import WorkerRank


def shuffle(**changes):
    return Shuffle(**({"batch_size": 4, "mirror": False, "seed": 1, "epoch": 3} | changes))


def ids(batches):
    return [batch.cases.case_id.tolist() for batch in batches]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_workers_together_have_the_batches_of_one(workers):
    cases = waves(14, seed=0)
    alone = ids(training_batches(cases, shuffle(), WorkerRank()))
    parts = [
        ids(training_batches(cases, shuffle(), WorkerRank(rank, workers)))
        for rank in range(workers)
    ]
    together = [sorted(sum(batch, [])) for batch in zip(*parts, strict=True)]
    assert together == [sorted(batch) for batch in alone]
    assert sorted(sum(alone, [])) == list(range(14))


@pytest.mark.parametrize(("count", "size", "workers"), [(239, 8, 8), (3, 2, 2), (14, 1, 2)])
def test_every_worker_has_a_case_of_every_batch(count, size, workers):
    cases = waves(count, seed=0)
    for rank in range(workers):
        batches = training_batches(cases, shuffle(batch_size=size), WorkerRank(rank, workers))
        assert min(len(batch.cases) for batch in batches) >= 1


def test_batches_are_even_and_have_their_global_size():
    cases = waves(14, seed=0)
    batches = list(training_batches(cases, shuffle(), WorkerRank(0, 2)))
    assert [batch.global_size for batch in batches] == [4, 4, 3, 3]
    assert [len(batch.cases) for batch in batches] == [2, 2, 2, 2]


def test_every_epoch_has_its_own_order():
    cases = waves(14, seed=0)
    orders = [
        ids(training_batches(cases, shuffle(epoch=epoch), WorkerRank())) for epoch in (0, 0, 1)
    ]
    assert orders[0] == orders[1] != orders[2]


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
    (batch,) = training_batches(cases, shuffle(batch_size=200, mirror=True), WorkerRank())
    turned = batch.cases.u[:, 0, -1, 0] == 7.0
    assert torch.equal(turned, batch.cases.u[:, 0, 0, 0] != 7.0)
    assert 70 < turned.sum() < 130
    assert torch.equal(batch.cases.phi_e, cases.phi_e[batch.cases.case_id])


def test_mirrored_cases_do_not_depend_on_the_workers():
    cases = waves(14, seed=0)
    alone = {
        case.item(): u
        for batch in training_batches(cases, shuffle(mirror=True), WorkerRank())
        for case, u in zip(batch.cases.case_id, batch.cases.u, strict=True)
    }
    for rank in range(2):
        for batch in training_batches(cases, shuffle(mirror=True), WorkerRank(rank, 2)):
            for case, u in zip(batch.cases.case_id, batch.cases.u, strict=True):
                assert torch.equal(alone[case.item()], u)
