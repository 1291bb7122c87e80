"""A node that loses its network connection for a while, in network namespaces."""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass

import pytest

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        shutil.which("ip") is None or os.geteuid() != 0, reason="needs the program ip and root"
    ),
]
NETWORK = "198.51.100"  # reserved for documentation (RFC 5737)


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass(frozen=True)
class Network:
    """Network namespaces, each with an interface on a bridge in the first one."""

    namespaces: tuple[str, ...]

    def make(self):
        bridge = self.namespaces[0]
        for name in self.namespaces:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", bridge, "link", "add", "bridge", "type", "bridge")
        ip("-n", bridge, "addr", "add", f"{self.address(0)}/24", "dev", "bridge")
        ip("-n", bridge, "link", "set", "bridge", "up")
        for number, name in enumerate(self.namespaces[1:], start=1):
            peer = ("peer", "name", "eth0", "netns", name)
            ip("-n", bridge, "link", "add", f"port{number}", "type", "veth", *peer)
            ip("-n", bridge, "link", "set", f"port{number}", "master", "bridge", "up")
            ip("-n", name, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")

    def address(self, number):
        return f"{NETWORK}.{number + 1}"

    def cut(self, number):
        ip("-n", self.namespaces[0], "link", "set", f"port{number}", "down")

    def restore(self, number):
        ip("-n", self.namespaces[0], "link", "set", f"port{number}", "up")

    def remove(self):
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.fixture
def network():
    made = Network(tuple(f"fwdecg-{os.getpid()}-{role}" for role in ("head", "near", "far")))
    try:
        made.make()
    except subprocess.CalledProcessError as error:
        made.remove()
        pytest.skip(f"network namespaces cannot be created: {error.stderr.decode().strip()}")
    yield made
    made.remove()


@pytest.fixture
def hosts(network, host_class):
    return [
        host_class(name, network.address(number)) for number, name in enumerate(network.namespaces)
    ]


def test_build_survives_a_node_that_is_cut_off(
    network, hosts, cluster_on, small_preset, build_in_process, tmp_path
):
    settings = (f"results.path={tmp_path}", "library.cases=240", "library.cases_per_part=20")
    root = tmp_path / "library"
    head, near, far = hosts
    cluster = cluster_on(head)
    cluster.add("near", host=near)
    cluster.add("far", host=far)

    def parts():
        return {path.name: path.read_bytes() for path in sorted(root.glob("cases/*.parquet"))}

    def cases():
        return len(list(root.glob(".spool/*.arrow"))) + 20 * len(parts())

    job = cluster.submit("build_library", small_preset, *settings)
    job.wait_until(lambda: cases() >= 20)
    network.cut(2)
    time.sleep(2.0)  # shorter than the health check tolerates
    network.restore(2)
    job.wait_until(lambda: cases() >= 60)
    assert cluster.live_nodes() == {"head", "near", "far"}

    network.cut(2)
    job.wait_until(lambda: "far" not in cluster.live_nodes())
    network.restore(2)
    cluster.wait_until_node_ends("far")  # it learns that the head considers it lost
    cluster.add("far", host=far)  # as a cluster manager would do
    job.wait_for_success()
    assert cluster.live_nodes() == {"head", "near", "far"}
    build_in_process(tmp_path / "undisturbed", small_preset, settings)
    undisturbed = sorted((tmp_path / "undisturbed").glob("cases/*.parquet"))
    assert parts() == {path.name: path.read_bytes() for path in undisturbed}
