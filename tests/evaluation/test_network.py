"""The network as a predictor, and checkpoints that do not fit."""

import dataclasses

import numpy as np
import pytest

from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.errors import CheckpointError
from fwdecg.evaluation.network import Network
from fwdecg.library.labelled_cases import LabelledCases
from fwdecg.library.reader import Library
from fwdecg.training.trained_surrogate import TrainedSurrogate, predict_maps


def test_a_fitting_library(trained: TrainedSurrogate, library: Library) -> None:
    trained.signature.require_fit(library.config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"duration_ms": 90.0}, "frames = 20, the library has 30"),
        ({"map_pixels": 32}, "map_pixels = 16, the library has 32"),
        ({"electrodes_mm": ((4.0, 4.0, 3.0),)}, "electrodes_mm = "),
        ({"electrodes_mm": ((4.0, 4.0, 3.0), (-2.0, 6.0, 2.0))}, "electrodes_mm = "),
        ({"frame_interval_ms": 6.0, "duration_ms": 120.0}, "frame_interval_ms = 3.0, the library"),
    ],
)
def test_a_library_of_another_kind(
    trained: TrainedSurrogate, library: Library, change: dict, message: str
) -> None:
    recording: RecordingConfig = dataclasses.replace(library.config.recording, **change)
    with pytest.raises(CheckpointError) as caught:
        trained.signature.require_fit(dataclasses.replace(library.config, recording=recording))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_hash_of_weights(trained: TrainedSurrogate) -> None:
    changed = {name: value.clone() for name, value in trained.state.items()}
    assert dataclasses.replace(trained, state=changed).weights_hash == trained.weights_hash
    weight = next(value for value in changed.values() if value.is_floating_point())
    weight[(0,) * weight.ndim] += 1e-3
    assert dataclasses.replace(trained, state=changed).weights_hash != trained.weights_hash


def test_network_counts_its_weights(trained: TrainedSurrogate, cases: LabelledCases) -> None:
    network = Network.of(trained, 4)
    weights = sum(parameter.numel() for parameter in trained.build().parameters())
    assert network.detail == f"{weights} weights, epoch 3"
    np.testing.assert_array_equal(network.predict(cases), predict_maps(trained.build(), cases.u, 4))
