"""Speed of an ECG frame, and of training and prediction of the surrogate.

    python -m pytest tests/benchmarks/bench_speed.py -s

Not part of the tests: nothing here can fail. One thread; medians over rounds. The solver has a job
of its own, `jobs/benchmark.py solver`.
"""

import numpy as np
import pytest
import torch

from fwdecg.model import SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.physics.pseudo_ecg import FRAMES_AT_ONCE, lead_fields, pseudo_ecg
from fwdecg.physics.tissue import Tissue
from fwdecg.training.training_config import LossConfig

CELLS = 400
BATCH = 8


def test_ecg_of_a_frame(benchmark):
    tissue = Tissue(spacing_mm=0.25, diffusivity_mm2_per_ms=np.full((CELLS, CELLS), 0.1))
    leads = lead_fields(tissue, np.array([[50.0, 50.0, 40.0]]), np.float32)
    frames = np.random.default_rng(0).random((FRAMES_AT_ONCE, CELLS, CELLS), dtype=np.float32)
    benchmark(pseudo_ecg, frames, leads)
    print(f"\n{1e3 * benchmark.stats.stats.median / FRAMES_AT_ONCE:.3f} ms a frame")


@pytest.fixture(params=[(160, 64), (70, 32)], ids=["paper", "quickstart"])
def maps(request):
    frames, pixels = request.param
    torch.manual_seed(0)
    return torch.rand(BATCH, frames, pixels, pixels).half(), torch.randn(BATCH, frames, 1)


@pytest.fixture
def surrogate():
    scale = Standardisation(u_mean=0.2, u_spread=0.3, phi_e_mean=(0.0,), phi_e_spread=(1.0,))
    return SurrogateConfig().build(electrodes=1, standardisation=scale)


def test_training_step(benchmark, surrogate, maps):
    u, target = maps
    optimizer, loss = torch.optim.Adam(surrogate.parameters()), LossConfig().build()

    def step():
        optimizer.zero_grad()
        loss(surrogate(u), target, omega=0.5).mean().backward()
        optimizer.step()

    benchmark.pedantic(step, rounds=7, warmup_rounds=2)
    print(f"\n{BATCH / benchmark.stats.stats.median:.1f} cases trained per second")


def test_prediction(benchmark, surrogate, maps):
    u, _ = maps
    surrogate.eval()
    benchmark.pedantic(surrogate.predict, args=(u,), rounds=7, warmup_rounds=2)
    print(f"\n{1e3 * benchmark.stats.stats.median / BATCH:.1f} ms per predicted case")
