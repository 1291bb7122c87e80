"""The configuration for `ray up`, validated by Ray's own functions."""

from pathlib import Path

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

PATH = Path(__file__).parents[2] / "cluster/aws.yaml"


@pytest.fixture
def config():
    return yaml.safe_load(PATH.read_text())


def test_ray_accepts_the_configuration(config):
    prepared = prepare_config(config)
    validate_config(prepared)
    assert sum(kind["min_workers"] for kind in prepared["available_node_types"].values()) == 0


def test_ray_rejects_a_misspelt_key(config):
    prepared = prepare_config(config | {"idle_timeout": 5})
    with pytest.raises(jsonschema.ValidationError, match="'idle_timeout' was unexpected"):
        validate_config(prepared)


def test_simulations_run_on_spot_instances_and_none_on_the_head(config):
    kinds = config["available_node_types"]
    assert kinds["cpu"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    for kind in ("head", "gpu"):
        assert "InstanceMarketOptions" not in kinds[kind]["node_config"]
    assert kinds[config["head_node_type"]]["resources"] == {"CPU": 0}
    for kind in ("cpu", "gpu"):
        assert kinds[kind]["min_workers"] == 0


def test_no_port_is_open_without_a_token(config):
    (start,) = (line for line in config["head_start_ray_commands"] if "--head" in line)
    assert "--dashboard-host=127.0.0.1" in start
    for line in config["head_start_ray_commands"] + config["worker_start_ray_commands"]:
        assert "ray start" not in line or "RAY_AUTH_MODE=token" in line
        assert "ray start" not in line or "--disable-usage-stats" in line


def test_the_file_contains_no_credentials():
    text = PATH.read_text().lower()
    for word in ("aws_access_key_id", "aws_secret_access_key", "akia", "password"):
        assert word not in text


def test_images_and_machines_have_ssh_nfs_and_gpu_support(config):
    dockerfile = (PATH.parent / "Dockerfile").read_text()
    assert "openssh-client rsync" in dockerfile
    # Ray runs commands through `bash --login`, which resets PATH.
    assert "> /etc/profile.d/fwdecg.sh" in dockerfile
    mounted = [line for line in config["initialization_commands"] if "mount -t nfs4" in line]
    installed = [line for line in config["initialization_commands"] if "nfs-common" in line]
    order = config["initialization_commands"].index
    assert order(installed[0]) < order(mounted[0])
    groups = {
        tuple(kind["node_config"]["SecurityGroupIds"])
        for kind in config["available_node_types"].values()
    }
    assert len(groups) == 1
    gpu = config["available_node_types"]["gpu"]
    assert "--env NVIDIA_VISIBLE_DEVICES=all" in gpu["docker"]["worker_run_options"]
