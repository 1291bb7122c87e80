"""The training loop: learning, resuming, several workers, divergence, learning rate schedules."""

import json
import math
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from synthetic import make_spec, splits, train, trained, waves
from torch.optim import SGD

from fwdecg.errors import RunError
from fwdecg.model.map_features import front_speed
from fwdecg.runtime.cost import Cost, CostMeter
from fwdecg.training.checkpoint import BEST, LAST, newest_checkpoint
from fwdecg.training.metrics import r2
from fwdecg.training.trained_surrogate import load_surrogate
from fwdecg.training.training_config import TrainingConfig
from fwdecg.training.training_loop import learning_rate_schedule, moving_average, run_training

RATE = 1e-3


def untimed(records):
    return [replace(record, seconds=0.0, **asdict(Cost())) for record in records]


def newest(folder, file):
    return load_surrogate(newest_checkpoint(folder) / file)


def predicted(surrogate, cases):
    """Return the predicted and the true z-scores."""
    return surrogate(cases.u).detach(), surrogate.standardise_ecg(cases.phi_e)


def test_a_surrogate_learns_and_its_best_state_is_kept(tmp_path):
    validation = splits().validation
    records = train(make_spec(epochs=60), splits(), tmp_path)
    assert records[-1].best_r2 > 0.9
    assert records[-1].train_loss < 0.1 * records[0].train_loss
    best = newest(tmp_path, BEST)
    assert best.epoch == 1 + max(range(60), key=lambda epoch: records[epoch].validation_r2)
    found = r2(*predicted(best.build(), validation))
    assert found.mean().item() == pytest.approx(records[-1].best_r2, abs=1e-6)
    assert newest(tmp_path, LAST).epoch == 60


def test_dipoles_are_scaled_by_the_first_training_cases(tmp_path):
    cases = splits()
    train(make_spec("dipoles", epochs=1), cases, tmp_path)
    square = front_speed(cases.train.u.float()).square()
    state = newest(tmp_path, LAST).state
    torch.testing.assert_close(state["encoder.typical_square"], square.log().mean().exp())


@pytest.mark.parametrize(
    ("encoder", "settings"),
    [
        ("cnn", {"schedule": "plateau", "patience": 1}),
        ("cnn", {"weight_average": 0.9}),
        ("dipoles", {"schedule": "cosine"}),
    ],
)
def test_a_resumed_training_equals_an_uninterrupted_one(encoder, settings, tmp_path):
    spec = make_spec(encoder, epochs=5, **settings)
    whole = train(spec, splits(), tmp_path / "whole")
    with pytest.raises(InterruptedError):
        interrupt_after(2, spec, tmp_path / "cut")
    resumed = train(spec, splits(), tmp_path / "cut")
    assert untimed(resumed) == untimed(whole[2:])
    for file in (LAST, BEST):
        expected, found = newest(tmp_path / "whole", file), newest(tmp_path / "cut", file)
        assert found.epoch == expected.epoch
        assert all(torch.equal(found.state[name], expected.state[name]) for name in found.state)
    assert [path.name for path in (tmp_path / "cut/checkpoints").iterdir()] == ["epoch-000005"]


def interrupt_after(epochs, spec, folder):
    """Train until the checkpoint of an epoch is kept, then raise InterruptedError."""

    def report(record):
        if record.epoch == epochs:
            raise InterruptedError

    cpu = torch.device("cpu")
    run_training(spec, splits(), folder, device=cpu, meter=CostMeter(), report=report)


def test_the_moving_average_by_hand():
    surrogate = trained().build()
    weight = surrogate.decoder.last_readout.bias
    own = SGD(surrogate.parameters(), lr=1.0)
    average = moving_average(surrogate, own, 0.75)
    values = []
    for _ in range(3):
        weight.grad = torch.ones_like(weight)  # each step lowers the weight by 1
        own.step()
        values.append(weight.item())
    first, second, third = values
    expected = 0.75 * (0.75 * first + 0.25 * second) + 0.25 * third
    assert average.module.decoder.last_readout.bias.item() == pytest.approx(expected, rel=1e-6)
    assert moving_average(surrogate, own, 0.0) is None


def test_the_moving_average_is_validated_and_kept(tmp_path):
    # With this decay the average hardly leaves the weights after the first of eight steps.
    (averaged,) = train(make_spec(epochs=1, weight_average=0.999999), splits(), tmp_path / "a")
    (plain,) = train(make_spec(epochs=1), splits(), tmp_path / "b")
    assert averaged.train_loss == plain.train_loss
    assert averaged.validation_loss != plain.validation_loss
    kept = newest(tmp_path / "a", LAST)
    found = r2(*predicted(kept.build(), splits().validation)).mean().item()
    assert found == pytest.approx(averaged.validation_r2, abs=1e-6)


def test_the_seed_changes_the_training(tmp_path):
    (one,), (other,) = (
        train(make_spec(seed=seed, epochs=1), splits(), tmp_path / str(seed)) for seed in (1, 2)
    )
    assert one.train_loss != other.train_loss


def test_two_workers_reach_the_losses_of_one(tmp_path):
    # With 14 cases in batches of four, workers have two cases or one. Batch statistics are
    # synchronised and gradients weighted. Dropout is off, because each worker draws its own masks.
    script = Path(__file__).parent / "two_workers.py"
    command = [sys.executable, str(script)]
    workers = [
        subprocess.Popen([*command, str(rank), str(tmp_path)], stdout=subprocess.PIPE)
        for rank in range(2)
    ]
    outputs = [json.loads(worker.communicate(timeout=120)[0]) for worker in workers]
    alone = train(make_spec(workers=1), splits(), tmp_path / "alone")
    for name in ("train_loss", "validation_loss", "validation_r2", "validation_mae"):
        expected = [getattr(record, name) for record in alone]
        for output in outputs:
            # Float32 sums in another order, passed on through 16 steps of Adam.
            assert [record[name] for record in output] == pytest.approx(expected, rel=1e-3)


def test_divergence_raises_an_error(tmp_path):
    cases = waves(4, seed=0)
    cases.phi_e[0, 0] = float("inf")
    with pytest.raises(RunError, match="the training loss is not finite; lower"):
        train(make_spec(), replace(splits(), train=cases), tmp_path)


@pytest.mark.slow
def test_a_surrogate_learns_in_bfloat16(tmp_path):
    records = train(make_spec(epochs=60, precision="bfloat16"), splits(), tmp_path)
    assert records[-1].best_r2 > 0.8


def optimizer():
    return SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)


def halvings(losses, patience):
    """Return the epochs, counted from 0, after which the rate was halved."""
    own = optimizer()
    config = TrainingConfig(schedule="plateau", patience=patience)
    schedule = learning_rate_schedule(own, config)
    halved, rate = [], RATE
    for epoch, loss in enumerate(losses):
        schedule.step(loss)
        if own.param_groups[0]["lr"] != rate:
            rate = own.param_groups[0]["lr"]
            halved.append(epoch)
            assert rate == RATE * 0.5 ** len(halved)
    return halved


@pytest.mark.parametrize(
    ("losses", "patience", "halved"),
    [
        ([1.0] * 5, 5, []),
        ([1.0] * 11, 5, [5, 10]),
        ([1.0, 2.0, 2.0, 2.0, 2.0, 0.9, 2.0, 2.0, 2.0, 2.0, 2.0], 5, [10]),
        ([1.0 - 1e-7 * epoch for epoch in range(20)], 5, []),
        ([1.0] * 40, 1, list(range(1, 40))),
    ],
    ids=[
        "one epoch short",
        "counts again",
        "interrupted by a gain",
        "small gains count",
        "tiny rates",
    ],
)
def test_a_plateau_halves_the_rate(losses, patience, halved):
    assert halvings(losses, patience) == halved


def test_a_cosine_schedule_falls_to_zero():
    own = optimizer()
    schedule = learning_rate_schedule(own, TrainingConfig(epochs=4, schedule="cosine"))
    rates = []
    for _ in range(4):
        rates.append(own.param_groups[0]["lr"] / RATE)
        own.step()
        schedule.step(0.0)
    root = math.sqrt(0.5)
    assert rates == pytest.approx([1.0, (1 + root) / 2, 0.5, (1 - root) / 2])
    assert own.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-9)
