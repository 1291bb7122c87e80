"""Where jobs run on a mixed cluster. A node only has to declare a GPU for that."""

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]


def test_simulations_avoid_gpu_nodes_and_trainings_choose_them(head, small_preset, tmp_path):
    """A node labelled like those in cluster/ has the GPU, and most of the CPUs."""
    space = 'tuning.space={"model.dropout"={uniform=[0.0, 0.5]}}'
    settings = (f"results.path={tmp_path}", "training.epochs=2", "training.workers=1", space)
    settings += ("tuning.trials=1", "tuning.grace_period=2", "training.retries=0")
    cluster = head.with_nodes("one")
    cluster.add("gpu", "--num-cpus=16", "--num-gpus=1", "--labels=fwdecg-simulations=no")
    build = cluster.submit("build_library", small_preset, *settings)
    build.wait_for_success()
    search = cluster.submit("tune", small_preset, *settings)
    training = cluster.submit("train", small_preset, *settings)
    search.wait_for_success()
    # GPU workers need NCCL: without a real GPU they fail right after they are placed.
    training.wait()

    for task in cluster.tasks(build, "_call", at_least=24):  # twenty cases and four parts
        assert task["required_resources"] == {"CPU": 1.0}
        assert task["node"] != "gpu"
    for job, kind in ((search, "ImplicitFunc"), (training, "RayTrainWorker")):
        actors = cluster.of_job(job, cluster.actors(kind))
        assert {actor["node"] for actor in actors} == {"gpu"}
        for actor in actors:
            # A placement group calls the resource GPU_group_... instead of GPU.
            resources = actor["required_resources"].items()
            assert {amount for name, amount in resources if name.startswith("GPU")} == {1.0}
    cluster.kill("gpu")
