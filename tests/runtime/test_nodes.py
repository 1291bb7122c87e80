"""Folders that the nodes do not share are refused; several nodes run on one machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fwdecg.errors import ResultError
from fwdecg.runtime import nodes
from fwdecg.runtime.nodes import file_hash, require_folder_visible, require_shared_folder
from fwdecg.runtime.ownership import record_owner
from fwdecg.runtime.storage import Store

ROOT = Path(__file__).parents[1]

# Three nodes; what the third one sees is up to each question.
CLUSTER = """
import sys
from functools import partial
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from fwdecg.errors import ResultError
from fwdecg.library.build import build_library
from fwdecg.config import load
from fwdecg.runtime.nodes import file_hash, require_same_file, require_shared_folder
from fwdecg.runtime.storage import Store
from fwdecg.experiment.experiment import Experiment

def blind_there(blind, store, file):
    return None if ray.get_runtime_context().get_node_id() == blind else file_hash(store, file)

def other_there(other, store, file):
    return "another" if ray.get_runtime_context().get_node_id() == other else file_hash(store, file)

def answer(name, question):
    try:
        question()
    except ResultError as error:
        print(f"{name}: {error}")
    else:
        print(f"{name}: shared")

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    store = Store.at(folder)
    store.publish("held", "the same everywhere")
    memory = {"object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={
        "num_cpus": 1, "include_dashboard": False, **memory})
    ray.init(address=cluster.address, log_to_driver=False)
    answer("alone", partial(require_shared_folder, store, partial(blind_there, "nobody")))
    cluster.add_node(num_cpus=1, **memory)
    third = cluster.add_node(num_cpus=0, **memory).node_id
    cluster.wait_for_nodes()
    answer("all", partial(require_shared_folder, store))
    answer("blind", partial(require_shared_folder, store, partial(blind_there, third)))
    answer("copy", partial(require_same_file, store, "held", partial(other_there, third)))
    bucket = Store.at("memory://bucket")
    answer("bucket", partial(require_shared_folder, bucket, partial(blind_there, third)))
    library = load(Experiment, sys.argv[2], ["library.cases=10"]).library
    print("built:", build_library(library, folder / "library")["counts"]["ok"]["all"]["all"])
    ray.shutdown()
    cluster.shutdown()
"""


@pytest.mark.ray
@pytest.mark.slow
def test_nodes_that_see_something_else_are_named(brief_preset, tmp_path):
    script, folder = tmp_path / "cluster.py", tmp_path / "shared"
    script.write_text(CLUSTER)
    done = subprocess.run(
        [sys.executable, str(script), str(folder), str(brief_preset)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    for name in ("alone", "all", "bucket"):
        assert answers[name] == "shared"
    for name in ("blind", "copy"):
        assert answers[name].startswith(f"{folder} is not the same folder on all nodes: ")
        assert "choose a path on storage that all nodes share" in answers[name]
    assert answers["built"] == "10"
    assert sorted(path.name for path in folder.iterdir()) == [".staging", "held", "library"]
    assert list((folder / ".staging").iterdir()) == []


def test_a_node_that_joins_late_must_see_the_library(tmp_path, monkeypatch):
    monkeypatch.setattr(nodes, "VISIBILITY_DELAYS_S", ())
    store = Store.at(tmp_path)
    with pytest.raises(ResultError, match="does not see what another has there"):
        require_folder_visible(store)
    record_owner(store, {"cases": 3})
    require_folder_visible(store)


def test_a_file_may_take_a_moment_to_appear(tmp_path, monkeypatch):
    store = Store.at(tmp_path)
    monkeypatch.setattr(nodes.time, "sleep", lambda wait_s: store.publish("file", "here"))
    assert file_hash(store, "file") is not None


def test_other_contents_are_told_apart(tmp_path):
    store = Store.at(tmp_path)
    store.publish("one", "1")
    store.publish("two", "2")
    assert file_hash(store, "one") == file_hash(store, "one") != file_hash(store, "two")


@pytest.mark.ray
def test_a_single_node_is_asked_nothing(ray_cluster, tmp_path):
    require_shared_folder(Store.at(tmp_path), file_hash=pytest.fail)
    assert list(tmp_path.iterdir()) == []


def test_without_a_cluster_none_is_started(tmp_path):
    code = (
        "import ray, sys; from fwdecg.runtime.nodes import require_shared_folder\n"
        "from fwdecg.runtime.storage import Store\n"
        "require_shared_folder(Store.at(sys.argv[1])); assert not ray.is_initialized()"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True, timeout=100)
