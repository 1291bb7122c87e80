"""Folders that the nodes do not share are refused; several nodes run on one machine."""

import hashlib

import pytest

from fwdecg.errors import ResultError
from fwdecg.runtime import nodes
from fwdecg.runtime.nodes import file_hash, require_folder_visible, require_shared_folder
from fwdecg.runtime.ownership import record_owner
from fwdecg.runtime.storage import Store

# Three nodes. The third one sees other files where `hash_file` says so.
CLUSTER = """
import sys
from functools import partial
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from fwdecg.errors import ResultError
from fwdecg.runtime.nodes import file_hash, require_same_file, require_shared_folder
from fwdecg.runtime.storage import Store

def replace_on(node, answer, store, file):
    here = ray.get_runtime_context().get_node_id()
    return answer if here == node else file_hash(store, file)

def check(name, action):
    try:
        action()
    except ResultError as error:
        print(f"{name}: {error}")
    else:
        print(f"{name}: shared")

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    store = Store.at(folder)
    store.publish("file", "the same everywhere")
    memory = {"object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={
        "num_cpus": 1, "include_dashboard": False, **memory})
    ray.init(address=cluster.address, log_to_driver=False)
    check("alone", partial(require_shared_folder, store, partial(replace_on, "none", None)))
    cluster.add_node(num_cpus=1, **memory)
    third = cluster.add_node(num_cpus=0, **memory).node_id
    cluster.wait_for_nodes()
    check("all", partial(require_shared_folder, store))
    check("missing", partial(require_shared_folder, store, partial(replace_on, third, None)))
    check("copy", partial(require_same_file, store, "file", partial(replace_on, third, "another")))
    bucket = Store.at("memory://bucket")
    check("bucket", partial(require_shared_folder, bucket, partial(replace_on, third, None)))
    ray.shutdown()
    cluster.shutdown()
"""


@pytest.mark.ray
@pytest.mark.slow
def test_nodes_that_see_other_files_are_reported(run_python, tmp_path):
    script, folder = tmp_path / "cluster.py", tmp_path / "shared"
    script.write_text(CLUSTER)
    done = run_python(script, folder)
    answers = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    for name in ("alone", "all", "bucket"):
        assert answers[name] == "shared"
    for name in ("missing", "copy"):
        assert answers[name].startswith(f"{folder} is not the same folder on all nodes: ")
        assert "choose a path on storage that all nodes share" in answers[name]
    assert sorted(path.name for path in folder.iterdir()) == [".staging", "file"]
    assert list((folder / ".staging").iterdir()) == []


def test_a_node_that_joins_late_must_see_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(nodes, "VISIBILITY_DELAYS_S", ())
    store = Store.at(tmp_path)
    with pytest.raises(ResultError, match="does not see the files of the others"):
        require_folder_visible(store)
    record_owner(store, {"cases": 3})
    require_folder_visible(store)


def test_a_file_may_appear_late(tmp_path, monkeypatch):
    store = Store.at(tmp_path)
    monkeypatch.setattr(nodes.time, "sleep", lambda delay_s: store.publish("file", "here"))
    assert file_hash(store, "file") == hashlib.sha256(b"here").hexdigest()


@pytest.mark.ray
def test_a_cluster_of_one_node_is_not_checked(ray_cluster, tmp_path):
    require_shared_folder(Store.at(tmp_path), hash_file=pytest.fail)
    assert list(tmp_path.iterdir()) == []


def test_the_check_starts_no_cluster(tmp_path, monkeypatch):
    monkeypatch.setattr(nodes.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(nodes.ray, "nodes", pytest.fail)  # it would start one
    require_shared_folder(Store.at(tmp_path))
