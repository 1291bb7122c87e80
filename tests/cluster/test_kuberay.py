"""The Kubernetes manifests: their fields and commands exist, and they fit together."""

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

from fwdecg.cases.splits import TRAIN, VALIDATION, assign_case
from fwdecg.config import load
from fwdecg.experiment.experiment import Experiment

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "cluster/kuberay"
SCHEMA = json.loads(Path(__file__).with_name("ray_io_v1.json").read_text())
IMAGE_ROOT = "/opt/fwdecg"


def read_manifest(name):
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


CLUSTER, STORAGE = read_manifest("raycluster"), read_manifest("storage")
JOBS = {
    path.stem: read_manifest(path.stem)
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.stem not in ("raycluster", "storage")
}
JOB_NAMES = pytest.mark.parametrize("name", JOBS)
# The worker groups that each job needs.
NODES = {"build_library": {"cpu"}, "train": {"gpu"}, "tune": {"gpu"}, "reproduce": {"cpu", "gpu"}}
RAY_MANIFESTS = {"raycluster": CLUSTER} | JOBS


def cluster_spec(manifest):
    return manifest["spec"]["rayClusterSpec"] if manifest["kind"] == "RayJob" else manifest["spec"]


def groups(manifest):
    return {group["groupName"]: group for group in cluster_spec(manifest)["workerGroupSpecs"]}


def pods(manifest):
    yield cluster_spec(manifest)["headGroupSpec"]["template"]
    yield from (group["template"] for group in groups(manifest).values())


SIMPLE = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


def as_schema(kind):
    """The closed schema, one level deep, of a type that the Kubernetes client names."""
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


def require_fields(manifest):
    """Fail unless every field of a manifest exists and its value has the right type."""
    Validator(SCHEMA).validate(manifest)


def test_the_schema_is_valid_and_its_kubernetes_types_exist():
    Validator.check_schema(SCHEMA)
    kinds = set(re.findall(r'"kubernetesType": "(\w+)"', json.dumps(SCHEMA)))
    assert kinds
    assert all(hasattr(client, kind) for kind in kinds)


@pytest.mark.parametrize("name", RAY_MANIFESTS)
def test_every_field_exists(name):
    require_fields(RAY_MANIFESTS[name])


def test_the_volume_claim_allows_writes_from_many_nodes():
    Validator({"kubernetesType": "V1PersistentVolumeClaim"}).validate(STORAGE)
    assert (STORAGE["apiVersion"], STORAGE["kind"]) == ("v1", "PersistentVolumeClaim")
    assert STORAGE["spec"]["accessModes"] == ["ReadWriteMany"]


def misspelt_autoscaler(manifest):
    cluster_spec(manifest)["enableInTreeAutoScaling"] = True


def misspelt_retries(manifest):
    manifest["spec"]["backOffLimit"] = 3


def number_for_text(manifest):
    cluster_spec(manifest)["headGroupSpec"]["rayStartParams"]["num-cpus"] = 0


def misspelt_mount(manifest):
    next(pods(manifest))["spec"]["containers"][0]["volumeMount"] = []


def text_for_number(manifest):
    next(pods(manifest))["spec"]["terminationGracePeriodSeconds"] = "30"


def table_for_list(manifest):
    next(pods(manifest))["spec"]["containers"] = {}


def group_without_limits(manifest):
    del cluster_spec(manifest)["workerGroupSpecs"][0]["maxReplicas"]


def time_to_live_without_end(manifest):
    manifest["spec"]["shutdownAfterJobFinishes"] = False


def unknown_submission(manifest):
    manifest["spec"]["submissionMode"] = "K8SJobMode"


def job_without_cluster(manifest):
    del manifest["spec"]["rayClusterSpec"]


def long_name(manifest):
    manifest["metadata"]["name"] = 48 * "n"


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
def test_a_manifest_that_the_operator_would_reject_is_found(fault):
    manifest = deepcopy(JOBS["train"])
    fault(manifest)
    with pytest.raises(jsonschema.ValidationError):
        require_fields(manifest)


def read_command(name):
    """Script, preset and overrides of a job, the former two as paths in this repository."""
    python, script, preset, *options = shlex.split(JOBS[name]["spec"]["entrypoint"])
    assert python == "python"
    assert options[::2] == ["--set"] * (len(options) // 2)
    here = [ROOT / Path(path).relative_to(IMAGE_ROOT) for path in (script, preset)]
    return *here, options[1::2]


@JOB_NAMES
def test_a_job_runs_a_command_of_this_repository_with_valid_keys(name):
    script, preset, overrides = read_command(name)
    assert script == ROOT / "jobs" / f"{name}.py"
    assert script.is_file()
    assert load(Experiment, preset, overrides).folder("results").is_relative_to("/shared")


@JOB_NAMES
def test_a_job_has_the_worker_groups_it_needs(name):
    _, preset, overrides = read_command(name)
    training = load(Experiment, preset, overrides).training
    found = groups(JOBS[name])
    assert found.keys() == NODES[name]
    if "gpu" in found:
        (worker,) = found["gpu"]["template"]["spec"]["containers"]
        gpus = int(worker["resources"]["limits"]["nvidia.com/gpu"])
        assert training.device == "gpu"
        assert training.workers <= gpus * found["gpu"]["maxReplicas"]
        # Each worker reserves at most one CPU, and one must remain for reading data.
        assert int(worker["resources"]["limits"]["cpu"]) > gpus


def test_a_search_requests_all_its_gpus_at_once():
    """Ray Tune queues one trial at a time by default and would start the nodes one by one."""
    _, preset, overrides = read_command("tune")
    tuning = load(Experiment, preset, overrides).tuning
    assert tuning.concurrency == groups(JOBS["tune"])["gpu"]["maxReplicas"]


def test_pods_have_enough_memory_for_the_cases_of_a_search():
    _, preset, overrides = read_command("tune")
    library = load(Experiment, preset, overrides).library
    places = [assign_case(case_id, library.shifts) for case_id in range(library.cases)]
    cases = sum(place.split in (TRAIN, VALIDATION) for place in places)
    needed = cases * library.recording.map_bytes
    for pod in pods(JOBS["tune"]):
        memory = pod["spec"]["containers"][0]["resources"]["limits"]["memory"]
        # The object store takes 30 % of a pod's memory.
        assert 0.3 * int(memory.removesuffix("Gi")) * 2**30 > needed


@JOB_NAMES
def test_a_job_is_retried_and_leaves_no_cluster_behind(name):
    assert JOBS[name]["spec"]["backoffLimit"] > 0
    assert JOBS[name]["spec"]["shutdownAfterJobFinishes"]


@JOB_NAMES
def test_all_clusters_share_the_same_head_and_worker_groups(name):
    own, common = cluster_spec(JOBS[name]), cluster_spec(CLUSTER)
    assert own | {"workerGroupSpecs": None} == common | {"workerGroupSpecs": None}
    for group, spec in groups(JOBS[name]).items():
        assert spec == groups(CLUSTER)[group]


def test_the_cluster_has_the_tested_ray_version_and_is_not_exposed():
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
def test_pods_do_not_run_as_root_and_mount_the_shared_folder(name):
    for pod in pods(RAY_MANIFESTS[name]):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        (volume,) = spec["volumes"]
        assert volume["persistentVolumeClaim"]["claimName"] == STORAGE["metadata"]["name"]
        (container,) = spec["containers"]
        assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": "/shared"}]
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert not container.get("env")  # environment variables must not hold secrets
