"""The job ablate from end to end."""

import json
from pathlib import Path

import pytest

from fwdecg.experiment.presets import load_preset

JOB = Path(__file__).parents[2] / "jobs/ablate.py"


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_study_is_trained(small_preset, without_ray, run_python, ray_address, tmp_path):
    results = tmp_path / "results"
    without_ray(load_preset(small_preset).library, results / "library")
    settings = (
        f"results.path={results}",
        "ablation.seeds=[4]",
        "ablation.epochs=1",
        'ablation.variants=["one channel: model.channels=[1, 1]"]',
    )
    command = [JOB, small_preset, *(word for each in settings for word in ("--set", each))]
    output = run_python(*command, RAY_ADDRESS=ray_address).stdout
    for words in ("full, seed 4: epoch 1/1: loss", "2/2 trainings done", "one channel, all"):
        assert words in output
    assert output.endswith(f"  {results / 'ablation'}\n")
    metrics = json.loads((results / "ablation/metrics.json").read_text())
    assert metrics["study"]["seeds"] == [4]
