"""The step-by-step loop is the same network, and the benchmark's figures are its own."""

import json
from dataclasses import replace

import pytest
import torch

from fwdecg.benchmarks.step_by_step import StepByStep
from fwdecg.benchmarks.surrogate_benchmark import benchmark_surrogate
from fwdecg.benchmarks.surrogate_speed import Work
from fwdecg.model import SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.training.training_config import TrainingConfig

MODEL = SurrogateConfig(hidden_size=8, channels=(2, 4), pooled_size=2, readout_size=4)


@pytest.mark.parametrize("encoder", ["dipoles", "cnn"])
def test_the_loop_predicts_what_the_surrogate_predicts(encoder):
    torch.manual_seed(0)
    statistics = Standardisation(
        u_mean=0.4, u_spread=0.3, phi_e_mean=(0.1, 0.0), phi_e_spread=(2.0, 1.0)
    )
    surrogate = replace(MODEL, encoder=encoder).build(electrodes=2, standardisation=statistics)
    surrogate.eval()
    u = torch.rand(3, 7, 12, 12)
    with torch.no_grad():
        # Sums of a few hundred float32 values in another order.
        torch.testing.assert_close(StepByStep(surrogate)(u), surrogate(u), rtol=1e-4, atol=1e-5)


def test_both_are_timed_on_one_core_and_on_all(tmp_path):
    work = Work(
        model=MODEL, training=TrainingConfig(batch_size=4), frames=5, pixels=8, electrodes=1
    )
    benchmark_surrogate(work, tmp_path, turns=1)
    rates = json.loads((tmp_path / "metrics.json").read_text())["cases_per_s"]
    assert set(rates) == {
        f"{activity}, {where}"
        for activity in ("training", "prediction")
        for where in ("one core", "all cores")
    }
    assert all(rate > 0 for pair in rates.values() for rate in pair.values())
    assert "training, all cores" in (tmp_path / "report.txt").read_text()
