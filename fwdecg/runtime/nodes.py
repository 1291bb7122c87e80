"""The nodes of the connected Ray cluster: whether more may join, whether all see the same files."""

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

# A network folder may show a file a moment after it was written elsewhere.
VISIBILITY_DELAYS_S = (0.5, 1.0, 2.0)
LONGEST_ANSWER_S = 60.0

# The hash of a file as this node finds it; None if it finds none.
HashFile = Callable[[Store, str], str | None]


def cluster_may_grow() -> bool:
    """Whether nodes may join while a job runs: those of a cluster it joined, not of one it started.

    An autoscaler starts nodes when they are asked for, not before.
    """
    return bool(os.environ.get("RAY_ADDRESS"))


def file_hash(store: Store, file: str) -> str | None:
    """The hash of a file of a store on this node, None if it does not appear for some seconds."""
    for wait_s in (*VISIBILITY_DELAYS_S, 0.0):
        try:
            return hashlib.sha256(store.read(file)).hexdigest()
        except FileNotFoundError:
            time.sleep(wait_s)
    return None


def require_shared_folder(store: Store, file_hash: HashFile = file_hash) -> None:
    """Raise `ResultError` if some node does not see what this process writes to a store."""
    if store.folder is None or len(_other_nodes()) == 0:
        return
    marker = f"{STAGING}/{uuid.uuid4().hex}"
    store.publish(marker, marker)
    try:
        require_same_file(store, marker, file_hash)
    finally:
        store.remove(marker)


def require_same_file(store: Store, file: str, file_hash: HashFile = file_hash) -> None:
    """Raise `ResultError` if some node finds another content in a file of a store, or no such file.

    An object store is the same from everywhere, and a folder where there is a single node.
    """
    others = _other_nodes()
    if store.folder is None or not others:
        return
    here = file_hash(store, file)
    ask = ray.remote(num_cpus=0, max_retries=0)(_call_hash)
    asked = {}
    for node, address in others.items():
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        asked[ask.options(scheduling_strategy=there).remote(file_hash, store, file)] = address
    answered, silent = ray.wait(
        list(asked), num_returns=len(asked), timeout=LONGEST_ANSWER_S, fetch_local=False
    )
    blind = []
    for reference in answered:
        try:
            same = ray.get(reference) == here
        except RayTaskError:  # it may not read it
            same = False
        except RayError:  # the node has gone since
            continue
        if not same:
            blind.append(asked[reference])
    for reference in silent:
        logger.warning("node %s does not say whether it sees %s", asked[reference], store.label())
    if blind:
        raise _not_shared(store, ", ".join(sorted(blind)))


def _call_hash(file_hash: HashFile, store: Store, file: str) -> str | None:
    return file_hash(store, file)


def require_folder_visible(store: Store) -> None:
    """Raise `ResultError` on a node that does not see a store's configuration, left at its claim.

    For nodes that join when others are at work already.
    """
    if store.folder is not None and file_hash(store, CONFIG_FILE) is None:
        raise _not_shared(store, ray.util.get_node_ip_address())


def _not_shared(store: Store, addresses: str) -> ResultError:
    return ResultError(
        f"{store.label()} is not the same folder on all nodes: {addresses} does not see what "
        "another has there; choose a path on storage that all nodes share"
    )


def _other_nodes() -> dict[str, str]:
    """Id and address of each living node but that of this process; none without a cluster."""
    if not ray.is_initialized():  # asking would start one
        return {}
    here = ray.get_runtime_context().get_node_id()
    return {
        node["NodeID"]: node["NodeManagerAddress"]
        for node in ray.nodes()
        if node["Alive"] and node["NodeID"] != here
    }
