"""The surrogate's ECGs: units, batches, mode."""

import numpy as np
import pytest
import torch
from synthetic import FRAMES, plan, waves

from fwdecg.errors import CheckpointError
from fwdecg.training.inference import predict_maps

CASES = 5


@pytest.fixture
def surrogate():
    made = plan()
    torch.manual_seed(0)
    return made.model.build(electrodes=1, standardisation=made.standardisation)


def test_predictions_in_the_librarys_unit(surrogate):
    u = waves(CASES, seed=0).u
    phi_e = predict_maps(surrogate.train(), u.numpy(), 4)
    assert phi_e.dtype == np.float32
    assert phi_e.shape == (CASES, 1, FRAMES)
    assert not surrogate.training
    with torch.no_grad():
        score = surrogate(u).mT.numpy()
    # The synthetic plan's mean and spread of the ECG.
    np.testing.assert_allclose(phi_e, score * 0.3 - 0.5, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_batches_do_not_matter(surrogate, dtype):
    u = waves(CASES, seed=0).u.numpy().astype(dtype)
    alone, together = (predict_maps(surrogate, u, size) for size in (1, CASES))
    # Sums of float32 in another order.
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-6)


def test_weights_that_are_not_finite(surrogate):
    with torch.no_grad():
        next(surrogate.decoder.parameters()).fill_(torch.nan)
    with pytest.raises(CheckpointError, match="not finite"):
        predict_maps(surrogate, waves(CASES, seed=0).u.numpy(), 8)
