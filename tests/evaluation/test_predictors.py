"""The network as a predictor, and libraries that a checkpoint does not fit."""

import dataclasses

import numpy as np
import pytest

from fwdecg.errors import CheckpointError
from fwdecg.evaluation.predictors import Network
from fwdecg.training.trained_surrogate import predict_maps


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"duration_ms": 90.0}, "frames = 20, the library has 30"),
        ({"map_pixels": 32}, "map_pixels = 16, the library has 32"),
        ({"electrodes_mm": ((4.0, 4.0, 3.0), (-2.0, 6.0, 2.0))}, "electrodes_mm = "),
        ({"frame_interval_ms": 6.0, "duration_ms": 120.0}, "frame_interval_ms = 3.0, the library"),
    ],
)
def test_a_library_that_does_not_fit_is_refused(trained, library, change, message):
    recording = dataclasses.replace(library.config.recording, **change)
    with pytest.raises(CheckpointError) as caught:
        trained.signature.require_fit(dataclasses.replace(library.config, recording=recording))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_hash_of_the_weights(trained):
    changed = {name: value.clone() for name, value in trained.state.items()}
    assert dataclasses.replace(trained, state=changed).weights_hash == trained.weights_hash
    weight = next(value for value in changed.values() if value.is_floating_point())
    weight[(0,) * weight.ndim] += 1e-3
    assert dataclasses.replace(trained, state=changed).weights_hash != trained.weights_hash


def test_the_network_counts_its_weights(trained, cases):
    network = Network.from_checkpoint(trained, 4)
    weights = sum(parameter.numel() for parameter in trained.build().parameters())
    assert network.detail == f"{weights} weights, epoch 3"
    np.testing.assert_array_equal(network.predict(cases), predict_maps(trained.build(), cases.u, 4))
