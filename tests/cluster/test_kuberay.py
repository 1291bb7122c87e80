"""The Kubernetes manifests: their fields exist, so do their commands, and they fit together."""

import json
import re
import shlex
from copy import deepcopy
from pathlib import Path

import jsonschema
import pytest
import ray
import yaml
from kubernetes import client

from fwdecg.cases.shifts import place_of
from fwdecg.cases.splits import TRAIN, VALIDATION
from fwdecg.config import load
from fwdecg.experiment.experiment import Experiment

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "cluster/kuberay"
SCHEMA = json.loads(Path(__file__).with_name("ray_io_v1.json").read_text())
IMAGE_ROOT = "/opt/fwdecg"


def manifest(name):
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


CLUSTER, STORAGE = manifest("raycluster"), manifest("storage")
JOBS = {
    path.stem: manifest(path.stem)
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.stem not in ("raycluster", "storage")
}
JOB_NAMES = pytest.mark.parametrize("name", JOBS)
# What each job runs on.
NODES = {"build_library": {"cpu"}, "train": {"gpu"}, "tune": {"gpu"}, "reproduce": {"cpu", "gpu"}}
RAY_MANIFESTS = {"raycluster": CLUSTER} | JOBS


def cluster_spec(held):
    return held["spec"]["rayClusterSpec"] if held["kind"] == "RayJob" else held["spec"]


def groups(held):
    return {group["groupName"]: group for group in cluster_spec(held)["workerGroupSpecs"]}


def pods(held):
    yield cluster_spec(held)["headGroupSpec"]["template"]
    yield from (group["template"] for group in groups(held).values())


SIMPLE = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


def as_schema(kind):
    """The schema of a type as the Kubernetes client names it, closed, one level deep."""
    if found := re.fullmatch(r"List\[(.*)\]", kind):
        return {"type": "array", "items": {"kubernetesType": found[1]}}
    if found := re.fullmatch(r"Dict\[str, (.*)\]", kind):
        return {"type": "object", "additionalProperties": {"kubernetesType": found[1]}}
    if kind == "object":
        return {}
    if kind in SIMPLE:
        return {"type": SIMPLE[kind]}
    types = getattr(client, kind)
    fields = {
        types.attribute_map[own]: {"kubernetesType": inner}
        for own, inner in types.openapi_types.items()
    }
    return {"type": "object", "additionalProperties": False, "properties": fields}


def check_kubernetes_type(validator, kind, value, _schema):
    yield from validator.descend(value, as_schema(kind))


Validator = jsonschema.validators.extend(
    jsonschema.Draft7Validator, {"kubernetesType": check_kubernetes_type}
)


def require_fields(held):
    """Fail unless every field of a manifest exists, and its value is of the right type."""
    Validator(SCHEMA).validate(held)


def test_the_schema_is_one_and_knows_its_kubernetes_types():
    Validator.check_schema(SCHEMA)
    kinds = set(re.findall(r'"kubernetesType": "(\w+)"', json.dumps(SCHEMA)))
    assert kinds
    assert all(hasattr(client, kind) for kind in kinds)


@pytest.mark.parametrize("name", RAY_MANIFESTS)
def test_every_field_exists(name):
    require_fields(RAY_MANIFESTS[name])


def test_the_storage_is_a_claim_that_many_nodes_may_write():
    Validator({"kubernetesType": "V1PersistentVolumeClaim"}).validate(STORAGE)
    assert (STORAGE["apiVersion"], STORAGE["kind"]) == ("v1", "PersistentVolumeClaim")
    assert STORAGE["spec"]["accessModes"] == ["ReadWriteMany"]


def misspelt_autoscaler(held):
    cluster_spec(held)["enableInTreeAutoScaling"] = True


def misspelt_retries(held):
    held["spec"]["backOffLimit"] = 3


def number_for_text(held):
    cluster_spec(held)["headGroupSpec"]["rayStartParams"]["num-cpus"] = 0


def misspelt_mount(held):
    next(pods(held))["spec"]["containers"][0]["volumeMount"] = []


def text_for_number(held):
    next(pods(held))["spec"]["terminationGracePeriodSeconds"] = "30"


def table_for_list(held):
    next(pods(held))["spec"]["containers"] = {}


def group_without_limits(held):
    del cluster_spec(held)["workerGroupSpecs"][0]["maxReplicas"]


def time_to_live_without_end(held):
    held["spec"]["shutdownAfterJobFinishes"] = False


def unknown_submission(held):
    held["spec"]["submissionMode"] = "K8SJobMode"


def job_without_cluster(held):
    del held["spec"]["rayClusterSpec"]


def long_name(held):
    held["metadata"]["name"] = 48 * "n"


@pytest.mark.parametrize(
    "fault",
    [
        misspelt_autoscaler,
        misspelt_retries,
        number_for_text,
        misspelt_mount,
        text_for_number,
        table_for_list,
        group_without_limits,
        time_to_live_without_end,
        unknown_submission,
        job_without_cluster,
        long_name,
    ],
)
def test_a_manifest_that_the_operator_would_not_take_is_noticed(fault):
    held = deepcopy(JOBS["train"])
    fault(held)
    with pytest.raises(jsonschema.ValidationError):
        require_fields(held)


def read_command(name):
    """Script, preset and overrides of a job, the former two as paths in this repository."""
    python, script, preset, *options = shlex.split(JOBS[name]["spec"]["entrypoint"])
    assert python == "python"
    assert options[::2] == ["--set"] * (len(options) // 2)
    here = [ROOT / Path(path).relative_to(IMAGE_ROOT) for path in (script, preset)]
    return *here, options[1::2]


@JOB_NAMES
def test_a_job_runs_a_command_of_this_repository(name):
    """Its keys too are read, as the job would."""
    script, preset, overrides = read_command(name)
    assert script == ROOT / "jobs" / f"{name}.py"
    assert script.is_file()
    assert load(Experiment, preset, overrides).results_folder.is_relative_to("/shared")


@JOB_NAMES
def test_a_job_finds_the_nodes_it_asks_for(name):
    _, preset, overrides = read_command(name)
    training = load(Experiment, preset, overrides).training
    found = groups(JOBS[name])
    assert found.keys() == NODES[name]
    if "gpu" in found:
        (worker,) = found["gpu"]["template"]["spec"]["containers"]
        gpus = int(worker["resources"]["limits"]["nvidia.com/gpu"])
        assert training.device == "gpu"
        assert training.workers <= gpus * found["gpu"]["maxReplicas"]
        # Each worker reserves at most one processor, and one is left to read the data.
        assert int(worker["resources"]["limits"]["cpu"]) > gpus


def test_a_search_asks_for_all_its_gpus_at_once():
    """By itself Ray Tune has one trial wait at a time, and so would start node after node."""
    _, preset, overrides = read_command("tune")
    tuning = load(Experiment, preset, overrides).tuning
    assert tuning.concurrency == groups(JOBS["tune"])["gpu"]["maxReplicas"]


def test_a_head_and_its_workers_have_room_for_the_cases_of_a_search():
    _, preset, overrides = read_command("tune")
    library = load(Experiment, preset, overrides).library
    places = [place_of(case_id, library.shifts) for case_id in range(library.cases)]
    cases = sum(place.split in (TRAIN, VALIDATION) for place in places)
    needed = cases * library.recording.map_bytes
    for pod in pods(JOBS["tune"]):
        memory = pod["spec"]["containers"][0]["resources"]["limits"]["memory"]
        # The object store has 30 % of it.
        assert 0.3 * int(memory.removesuffix("Gi")) * 2**30 > needed


@JOB_NAMES
def test_a_job_is_tried_again_and_leaves_no_cluster_behind(name):
    assert JOBS[name]["spec"]["backoffLimit"] > 0
    assert JOBS[name]["spec"]["shutdownAfterJobFinishes"]


@JOB_NAMES
def test_clusters_are_made_of_the_same_parts(name):
    own, common = cluster_spec(JOBS[name]), cluster_spec(CLUSTER)
    assert own | {"workerGroupSpecs": None} == common | {"workerGroupSpecs": None}
    for group, spec in groups(JOBS[name]).items():
        assert spec == groups(CLUSTER)[group]


def test_the_cluster_is_of_the_tested_ray_and_closed():
    spec = cluster_spec(CLUSTER)
    assert spec["rayVersion"] == ray.__version__
    assert spec["authOptions"] == {"mode": "token"}
    head = spec["headGroupSpec"]
    assert head.get("serviceType", "ClusterIP") == "ClusterIP"
    assert not head.get("enableIngress", False)
    assert head["rayStartParams"]["num-cpus"] == "0"
    for group in groups(CLUSTER).values():
        assert group["minReplicas"] == group["replicas"] == 0


@pytest.mark.parametrize("name", RAY_MANIFESTS)
def test_pods_run_without_root_and_see_the_shared_folder(name):
    for pod in pods(RAY_MANIFESTS[name]):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        (volume,) = spec["volumes"]
        assert volume["persistentVolumeClaim"]["claimName"] == STORAGE["metadata"]["name"]
        (container,) = spec["containers"]
        assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": "/shared"}]
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert not container.get("env")  # no place for a secret
