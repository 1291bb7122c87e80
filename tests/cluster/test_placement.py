"""Where jobs run on a mixed cluster. A node only has to declare a GPU for that."""

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]


def test_simulations_avoid_gpu_nodes(head, small_preset, tmp_path):
    """A node labelled like those in cluster/ has a GPU and most of the CPUs, but gets no task."""
    settings = (f"results.path={tmp_path}", "library.cases=8", "library.cases_per_part=4")
    cluster = head.with_nodes("one")
    cluster.add("gpu", "--num-cpus=16", "--num-gpus=1", "--labels=fwdecg-simulations=no")
    job = cluster.submit("build_library", small_preset, *settings)
    job.wait_for_success()
    for task in cluster.tasks(job, "_call", at_least=10):  # eight cases and two parts
        assert task["required_resources"] == {"CPU": 1.0}
        assert task["node"] != "gpu"
    cluster.kill("gpu")
