import json
import os

import pytest

from fwdecg.benchmarks.surrogate_benchmark import benchmark_surrogate
from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.model import SurrogateConfig
from fwdecg.training.training_config import TrainingConfig

MODEL = SurrogateConfig(hidden_size=8, channels=(2, 4), pooled_size=2, readout_size=4)


@pytest.mark.slow  # starts a process that imports torch
def test_training_and_prediction_are_timed_on_one_and_two_threads(tmp_path):
    recording = RecordingConfig(duration_ms=25.0, map_pixels=8)
    environment = dict(os.environ)
    benchmark_surrogate(MODEL, TrainingConfig(batch_size=4), recording, tmp_path, rounds=1)
    assert dict(os.environ) == environment
    rates = json.loads((tmp_path / "metrics.json").read_text())["cases_per_s"]
    assert list(rates) == [
        "training, 1 thread",
        "training, 2 threads",
        "prediction, 1 thread",
        "prediction, 2 threads",
    ]
    assert all(rate > 0 for rate in rates.values())
    assert "training, 2 threads" in (tmp_path / "report.txt").read_text()
