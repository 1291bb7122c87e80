import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from synthetic import plan, splits, train, waves

from fwdecg.errors import RunError
from fwdecg.model.map_features import front_speed
from fwdecg.runtime.cost import Cost, CostMeter
from fwdecg.training.checkpoint import load_surrogate
from fwdecg.training.metrics import r2
from fwdecg.training.run import BEST, LAST, run_training

UNTIMED = {"seconds": 0.0} | asdict(Cost())


def untimed(records):
    return [replace(record, **UNTIMED) for record in records]


def test_a_surrogate_learns_and_the_best_state_is_kept(tmp_path):
    held_out = splits().validation
    records = train(plan(epochs=60), splits(), tmp_path)
    assert records[-1].best_r2 > 0.9
    assert records[-1].train_loss < 0.1 * records[0].train_loss
    best = load_surrogate(tmp_path / BEST)
    assert best.epoch == 1 + max(range(60), key=lambda epoch: records[epoch].validation_r2)
    surrogate = best.build()
    found = r2(surrogate(held_out.u).detach(), surrogate.standardise_ecg(held_out.phi_e))
    assert found.mean().item() == pytest.approx(records[-1].best_r2, abs=1e-6)
    assert load_surrogate(tmp_path / LAST).epoch == 60


def test_dipoles_are_in_the_unit_of_the_first_training_cases(tmp_path):
    cases = splits()
    train(plan("dipoles", epochs=1), cases, tmp_path)
    square = front_speed(cases.train.u.float()).square()
    state = load_surrogate(tmp_path / LAST).state
    torch.testing.assert_close(state["encoder.typical_square"], square.log().mean().exp())


@pytest.mark.parametrize("encoder", ["cnn", "dipoles"])
def test_a_resumed_run_equals_an_uninterrupted_one(encoder, tmp_path):
    five = plan(encoder, epochs=5)
    whole = train(five, splits(), tmp_path / "whole")
    with pytest.raises(InterruptedError):
        stop_after(2, five, tmp_path / "cut")
    resumed = train(five, splits(), tmp_path / "resumed", resume_from=tmp_path / "cut")
    assert untimed(resumed) == untimed(whole[2:])
    states = [load_surrogate(tmp_path / f / LAST).state for f in ("whole", "resumed")]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    best = [load_surrogate(tmp_path / f / BEST).epoch for f in ("whole", "resumed")]
    assert best[0] == best[1]


def stop_after(epochs, planned, folder):
    """Train until the checkpoint of an epoch is written, then fall over."""

    def report(record, checkpoint):
        if record.epoch == epochs:
            folder.mkdir()
            for file in checkpoint.iterdir():
                (folder / file.name).write_bytes(file.read_bytes())
            raise InterruptedError

    cpu = torch.device("cpu")
    run_training(planned, splits(), device=cpu, report=report, meter=CostMeter())


def test_the_same_seed_gives_the_same_training():
    assert untimed(train(plan(), splits())) == untimed(train(plan(), splits()))
    other = train(plan(seed=2), splits())
    assert other[0].train_loss != train(plan(), splits())[0].train_loss


def test_two_workers_train_to_the_losses_of_one(tmp_path):
    # Fourteen cases in batches of four: workers with two cases and with one. Batch statistics are
    # synchronised, gradients weighted; dropout is off, its masks being drawn by each worker.
    script = Path(__file__).parent / "two_workers.py"
    command = [sys.executable, str(script)]
    workers = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "meet")], stdout=subprocess.PIPE)
        for rank in range(2)
    ]
    outputs = [json.loads(worker.communicate(timeout=120)[0]) for worker in workers]
    alone = train(plan(workers=1), splits())
    for name in ("train_loss", "validation_loss", "validation_r2", "validation_mae"):
        expected = [getattr(record, name) for record in alone]
        for output in outputs:
            # Float32 sums in another order, passed on through 16 steps of Adam.
            assert [record[name] for record in output] == pytest.approx(expected, rel=1e-3)


def test_a_training_that_diverges_says_so():
    cases = waves(4, seed=0)
    cases.phi_e[0, 0] = float("inf")
    with pytest.raises(RunError, match="the training loss is not finite; lower"):
        train(plan(), replace(splits(), train=cases))


def test_bfloat16_trains_too():
    records = train(plan(epochs=60, precision="bfloat16"), splits())
    assert records[-1].best_r2 > 0.8
