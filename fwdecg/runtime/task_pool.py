"""Run many Ray tasks, a bounded number at a time, and retry those that fail transiently.

A task's own error ends the run. A lost worker or node, a transient storage error and a lack of
memory do not: the task is submitted again after a delay, up to a limit. Beyond the limit, a task
whose workers died or ran out of memory is reported to its `on_failure`, because the task itself is
probably the cause. Any other persistent error is raised.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray.exceptions import (
    NodeDiedError,
    OutOfMemoryError,
    RayError,
    RayTaskError,
    WorkerCrashedError,
)

from fwdecg.errors import RunError
from fwdecg.runtime.cost import Cost, CostMeter
from fwdecg.runtime.nodes import cluster_may_grow
from fwdecg.runtime.storage import is_transient
from fwdecg.runtime.telemetry import RETRIES

logger = logging.getLogger(__name__)

TASKS_PER_CPU = 2  # one runs and one waits, so that no CPU idles between two tasks
# Tasks submitted to a cluster that may grow. An autoscaler adds nodes for waiting tasks.
TASKS_TO_GROW_BY = 256
POLL_INTERVAL_S = 5.0
MAX_ATTEMPTS = 6
# Node losses have a higher limit of their own, because nodes come and go without fault of the task.
# There is a limit because a task can also bring down its node.
MAX_NODE_LOSSES = 20
FIRST_DELAY_S, MAX_DELAY_S = 0.5, 60.0
MAX_REASON_LENGTH = 300  # characters


@dataclass(frozen=True, eq=False)
class Task:
    """A function that runs on some node, and the callbacks that this process runs afterwards.

    Attributes:
        name: name for messages.
        work: function without arguments. The worker must be able to import it.
        on_result: called in this process with the return value of `work`.
        on_failure: called in this process with a `RunError` if the workers of the task keep dying.
        options: Ray task options; by default a task reserves one CPU.
        attempts: number of failed attempts.
        nodes_lost: number of attempts that ended with the loss of their node.
    """

    name: str
    work: Callable[[], Any]
    on_result: Callable[[Any], None]
    on_failure: Callable[[RunError], None]
    options: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 0
    nodes_lost: int = 0


def run_tasks(tasks: deque[Task], stage: str) -> Cost:
    """Run tasks on the connected Ray cluster until none is left.

    Args:
        tasks: queue whose leftmost task runs first. Callbacks may append tasks.
        stage: tag under which the metrics count retries, such as `telemetry.BUILD`.

    Returns:
        The cost of the successful attempts on their workers.

    Raises:
        RunError: the cluster failed repeatedly.
        Exception: the error that a task raised itself.
    """
    # Ray's own retries are off: they do not distinguish between the kinds of failure.
    call = ray.remote(num_cpus=1, max_retries=0)(_call)
    running: dict[ray.ObjectRef, Task] = {}
    due_times: dict[Task, float] = {}  # when failed tasks start their next attempt
    cost = Cost()
    while tasks or running or due_times:
        for task in [task for task, due in due_times.items() if due <= time.monotonic()]:
            del due_times[task]
            tasks.appendleft(task)
        while tasks and len(running) < _max_in_flight():
            task = tasks.popleft()
            gpus = task.options.get("num_gpus", 0.0)
            running[call.options(**task.options).remote(task.work, gpus)] = task
        if not running:
            time.sleep(max(min(due_times.values()) - time.monotonic(), 0.0))
            continue
        done, _ = ray.wait(list(running), num_returns=1, timeout=POLL_INTERVAL_S)
        for reference in done:
            task = running.pop(reference)
            try:
                result, spent = ray.get(reference)
            except RayError as error:
                retry = _next_attempt(task, error)
                if retry is not None:
                    RETRIES.add(stage)
                    due_times[retry] = _due_time(retry)
            else:
                cost += spent
                task.on_result(result)
    return cost


def _call(work: Callable[[], Any], gpus: float) -> tuple[Any, Cost]:
    meter = CostMeter(gpus=gpus)
    return work(), meter.lap()


def _max_in_flight() -> int:
    """Return how many tasks may be submitted at a time, given the current size of the cluster."""
    minimum = TASKS_TO_GROW_BY if cluster_may_grow() else 1
    return max(TASKS_PER_CPU * int(ray.cluster_resources().get("CPU", 1)), minimum)


def _due_time(task: Task) -> float:
    """Return when to retry a task, on the clock `time.monotonic`; the delay doubles each time."""
    failed = task.attempts + task.nodes_lost
    return time.monotonic() + min(FIRST_DELAY_S * 2.0 ** (failed - 1), MAX_DELAY_S)


def _next_attempt(task: Task, error: RayError) -> Task | None:
    """Return the task to retry, or None after reporting the failure to its `on_failure`.

    Raises:
        RunError: the cluster failed repeatedly.
        Exception: the task's own error, if it is permanent or has persisted for all attempts.
    """
    own = error.cause if isinstance(error, RayTaskError) else None
    reason = " ".join(str(own or error).split())[:MAX_REASON_LENGTH]
    logger.warning("%s: %s", task.name, reason)
    if isinstance(error, NodeDiedError) and task.nodes_lost < MAX_NODE_LOSSES:
        return replace(task, nodes_lost=task.nodes_lost + 1)
    transient = own is None or isinstance(own, MemoryError) or is_transient(own)
    if transient and task.attempts + 1 < MAX_ATTEMPTS:
        return replace(task, attempts=task.attempts + 1)
    if isinstance(own or error, (NodeDiedError, WorkerCrashedError, OutOfMemoryError, MemoryError)):
        task.on_failure(RunError(f"{task.name}: its workers died repeatedly; {reason}"))
        return None
    if own is not None:
        raise own from error
    raise RunError(f"{task.name}: the cluster failed repeatedly; {reason}") from error
