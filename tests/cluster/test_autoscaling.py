"""The nodes that Ray's autoscaler would start for the resources a job requests."""

from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.kuberay import autoscaling_config as kuberay
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.common_pb2 import LabelSelectorOperator

from fwdecg.library.build import NOT_ON_GPU_NODES

FOLDER = Path(__file__).parents[2] / "cluster"


def read_aws():
    return yaml.safe_load((FOLDER / "aws.yaml").read_text())


def read_kuberay(name):
    manifest = yaml.safe_load((FOLDER / f"kuberay/{name}.yaml").read_text())
    spec = manifest["spec"].get("rayClusterSpec", manifest["spec"])
    cluster = {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
    return kuberay._derive_autoscaling_config_from_ray_cr(cluster)


CLUSTERS = {
    "aws": read_aws,
    "raycluster": lambda: read_kuberay("raycluster"),
    "reproduce": lambda: read_kuberay("reproduce"),
}


def nodes_started(cluster, resources, count, selector=()):
    """Nodes of each type that an empty cluster starts for `count` tasks or actors."""
    config = AutoscalingConfig(CLUSTERS[cluster](), skip_content_hash=True)
    request = ResourceRequestUtil.make(resources, label_selectors=[list(selector)])
    demand = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs=config.get_node_type_configs(),
        max_num_nodes=config.get_max_num_nodes(),
        resource_requests=ResourceRequestUtil.group_by_count([request] * count),
    )
    reply = ResourceDemandScheduler().schedule(demand)
    return {launch.instance_type: launch.count for launch in reply.to_launch}


def selector_of(options):
    """A label selector that excludes labels, in the autoscaler's own form."""
    for key, value in options["label_selector"].items():
        assert value.startswith("!")
        yield key, LabelSelectorOperator.LABEL_OPERATOR_NOT_IN, [value[1:]]


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_simulations_start_all_cpu_nodes_and_no_gpu_node(cluster):
    selector = list(selector_of(NOT_ON_GPU_NODES))
    assert nodes_started(cluster, {"CPU": 1.0}, 500, selector) == {"cpu": 8}
    # Without the label selector they would start GPU nodes.
    assert nodes_started(cluster, {"CPU": 1.0}, 500)["gpu"] > 0


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_trainings_start_a_gpu_for_each_worker(cluster):
    assert nodes_started(cluster, {"CPU": 1.0, "GPU": 1.0}, 4) == {"gpu": 4}
