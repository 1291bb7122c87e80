"""The job ablate from end to end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fwdecg.config import load
from fwdecg.experiment.experiment import Experiment

JOB = Path(__file__).parents[2] / "jobs/ablate.py"


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_study_is_trained_and_then_reused(small_preset, without_ray, tmp_path):
    results = tmp_path / "results"
    without_ray(load(Experiment, small_preset).library, results / "library")
    settings = (
        f"results.path={results}",
        "ablation.seeds=[4]",
        "ablation.epochs=1",
        'ablation.variants=["one channel: model.channels=[1, 1]"]',
    )
    command = [sys.executable, str(JOB), str(small_preset)]
    command += [word for setting in settings for word in ("--set", setting)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for words in ("full, seed 4: epoch 1/1: loss", "2/2 trainings done", "one channel, all"):
        assert words in output
    assert output.endswith(f"  {results / 'ablation'}\n")
    metrics = json.loads((results / "ablation/metrics.json").read_text())
    assert metrics["study"]["seeds"] == [4]
    again = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "all 2 trainings are there already" in again
