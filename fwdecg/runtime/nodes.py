"""Checks of the cluster's nodes: whether more may join, and whether all see the same files."""

import hashlib
import logging
import os
import time
import uuid
from collections.abc import Callable

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fwdecg.errors import ResultError
from fwdecg.runtime.storage import CONFIG_FILE, STAGING, Store

logger = logging.getLogger(__name__)

# A network file system may show a file only some time after another node wrote it.
VISIBILITY_DELAYS_S = (0.5, 1.0, 2.0)
ANSWER_TIMEOUT_S = 60.0

HashFile = Callable[[Store, str], str | None]


def cluster_may_grow() -> bool:
    """Return whether nodes may join while a job runs.

    This is the case if the job joined an existing cluster, because an autoscaler adds nodes only
    when work is waiting. A local cluster that the job started itself keeps its size.
    """
    return bool(os.environ.get("RAY_ADDRESS"))


def file_hash(store: Store, file: str) -> str | None:
    """Return the SHA-256 of a file as this node sees it.

    Returns:
        The hexadecimal digest, or None if the file does not appear within `VISIBILITY_DELAYS_S`.
    """
    for delay_s in (*VISIBILITY_DELAYS_S, 0.0):
        try:
            return hashlib.sha256(store.read(file)).hexdigest()
        except FileNotFoundError:
            time.sleep(delay_s)
    return None


def require_shared_folder(store: Store, hash_file: HashFile = file_hash) -> None:
    """Raise `ResultError` if a node does not see what this process writes to the store."""
    if store.folder is None or not _other_nodes():
        return
    marker = f"{STAGING}/{uuid.uuid4().hex}"
    store.publish(marker, marker)
    try:
        require_same_file(store, marker, hash_file)
    finally:
        store.remove(marker)


def require_same_file(store: Store, file: str, hash_file: HashFile = file_hash) -> None:
    """Raise `ResultError` if a node sees other content in a file of the store, or no such file.

    The check is skipped for an object store, which looks the same from every node, and on a cluster
    with a single node.
    """
    others = _other_nodes()
    if store.folder is None or not others:
        return
    expected = hash_file(store, file)

    task = ray.remote(num_cpus=0, max_retries=0)(lambda: hash_file(store, file))
    addresses = {}
    for node, address in others.items():
        strategy = NodeAffinitySchedulingStrategy(node, soft=False)
        addresses[task.options(scheduling_strategy=strategy).remote()] = address
    answered, silent = ray.wait(
        list(addresses), num_returns=len(addresses), timeout=ANSWER_TIMEOUT_S, fetch_local=False
    )
    for reference in silent:
        logger.warning(
            "node %s did not report within %g s whether it sees %s",
            addresses[reference],
            ANSWER_TIMEOUT_S,
            store.label(),
        )
    differing = [addresses[each] for each in answered if not _agrees(each, expected)]
    if differing:
        raise _not_shared(store, ", ".join(sorted(differing)))


def _agrees(reference: ray.ObjectRef, expected: str | None) -> bool:
    try:
        return ray.get(reference) == expected
    except RayTaskError:  # for example, the node lacks the permission to read the file
        return False
    except RayError:  # the node has left the cluster in the meantime
        return True


def require_folder_visible(store: Store) -> None:
    """Raise `ResultError` if this node does not see the configuration that `record_owner` wrote.

    Workers call this, because their node may have joined after `require_shared_folder` ran.
    """
    if store.folder is not None and file_hash(store, CONFIG_FILE) is None:
        raise _not_shared(store, ray.util.get_node_ip_address())


def _not_shared(store: Store, addresses: str) -> ResultError:
    return ResultError(
        f"{store.label()} is not the same folder on all nodes: {addresses} does not see the files "
        "of the others; choose a path on storage that all nodes share"
    )


def _other_nodes() -> dict[str, str]:
    """Return the id and address of each living node except this one; empty without a cluster."""
    if not ray.is_initialized():  # `ray.nodes` would start a cluster
        return {}
    here = ray.get_runtime_context().get_node_id()
    return {
        node["NodeID"]: node["NodeManagerAddress"]
        for node in ray.nodes()
        if node["Alive"] and node["NodeID"] != here
    }
