"""Where jobs run on a mixed cluster. A node only has to declare a GPU for that."""

import pytest

from fwdecg.config import load
from fwdecg.experiment.experiment import Experiment

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def mixed(cluster):
    """Two CPU nodes and a GPU node, labelled like those in cluster/."""
    cluster.add("gpu", "--num-cpus=16", "--num-gpus=1", "--labels=fwdecg-simulations=no")
    yield cluster
    cluster.kill("gpu")


def test_simulations_avoid_gpu_nodes(mixed, small_preset, tmp_path):
    """Even though there are more tasks than the CPU nodes run at a time."""
    settings = (f"results.path={tmp_path}", "library.cases=8", "library.cases_per_part=4")
    job = mixed.submit("build_library", small_preset, *settings)
    job.wait_for_success()
    for task in mixed.tasks(job, "_call", at_least=5):  # eight cases and two parts
        assert task["required_resources"] == {"CPU": 1.0}
        assert task["node"] in ("one", "two")


def test_trainings_go_to_gpus(mixed, small_preset, without_ray, tmp_path):
    space = 'tuning.space={"model.dropout"={uniform=[0.0, 0.5]}}'
    settings = (f"results.path={tmp_path}", "training.epochs=2", "training.workers=1", space)
    settings += ("tuning.trials=1", "tuning.grace_period=2", "training.retries=0")
    without_ray(load(Experiment, small_preset, settings).library, tmp_path / "library")
    search = mixed.submit("tune", small_preset, *settings)
    search.wait_for_success()
    # GPU workers need NCCL: without a real GPU they fail right after they are placed.
    training = mixed.submit("train", small_preset, *settings)
    training.wait()
    for job, kind in ((search, "ImplicitFunc"), (training, "RayTrainWorker")):
        actors = mixed.of_job(job, mixed.actors(kind))
        assert {actor["node"] for actor in actors} == {"gpu"}
        for actor in actors:
            # A placement group calls the resource GPU_group_... instead of GPU.
            resources = actor["required_resources"].items()
            assert {amount for name, amount in resources if name.startswith("GPU")} == {1.0}
