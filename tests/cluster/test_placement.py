"""Where jobs run on nodes that differ. A GPU that a node only claims to have is enough for that."""

import pytest

from fwdecg.config import load
from fwdecg.experiment.experiment import Experiment

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def mixed(cluster):
    """Two nodes without GPU, and one with, labelled as those of cluster/ are."""
    cluster.add("gpu", "--num-cpus=16", "--num-gpus=1", "--labels=fwdecg-simulations=no")
    yield cluster
    cluster.kill("gpu")


def test_simulations_keep_off_gpus(mixed, small_preset, tmp_path):
    """Though there are more than the other nodes take at a time."""
    settings = (f"results.path={tmp_path}", "library.cases=8", "library.cases_per_part=4")
    job = mixed.submit("build_library", small_preset, *settings)
    job.end_well()
    for task in mixed.tasks(job, "_call", at_least=5):  # of eight cases and two parts
        assert task["required_resources"] == {"CPU": 1.0}
        assert task["node"] in ("one", "two")


def test_trainings_go_to_gpus(mixed, small_preset, without_ray, tmp_path):
    space = 'tuning.space={"model.dropout"={uniform=[0.0, 0.5]}}'
    settings = (f"results.path={tmp_path}", "training.epochs=2", "training.workers=1", space)
    settings += ("tuning.trials=1", "tuning.grace_period=2", "training.retries=0")
    without_ray(load(Experiment, small_preset, settings).library, tmp_path / "library")
    search = mixed.submit("tune", small_preset, *settings)
    search.end_well()
    # Workers with a GPU speak NCCL: without a true one they get no further than to their place.
    training = mixed.submit("train", small_preset, *settings)
    training.end()
    for job, kind in ((search, "ImplicitFunc"), (training, "RayTrainWorker")):
        actors = mixed.of_job(job, mixed.actors(kind))
        assert {actor["node"] for actor in actors} == {"gpu"}
        for actor in actors:
            # Named GPU, or where a placement group holds it, GPU_group_...
            held = actor["required_resources"].items()
            assert {amount for name, amount in held if name.startswith("GPU")} == {1.0}
