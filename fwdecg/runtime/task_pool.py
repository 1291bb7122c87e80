"""Fan-out: Ray tasks, a bounded number at a time, tried again when what they ran on fails.

A task's own error ends the run. The loss of its worker or node, trouble of the store and lack of
memory do not: it is submitted again after a while, up to a limit. Beyond that a task whose workers
died or ran out of memory is itself to blame, and anything else is the cluster's fault.
"""

import heapq
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
from fwdecg.runtime.storage import PERMANENT_ERRORS
from fwdecg.runtime.telemetry import RETRIES

logger = logging.getLogger(__name__)

TASKS_PER_CPU = 2  # one running, one waiting, so that no processor idles between two tasks
TASKS_TO_GROW_BY = 256  # what an autoscaler sees to be waiting, and starts nodes for
SECONDS_BETWEEN_CHECKS = 5.0
MAX_ATTEMPTS = 6
MAX_NODE_LOSSES = 20  # nodes come and go, but may go because of a task
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0
LONGEST_REASON = 300  # letters


@dataclass(frozen=True, eq=False)
class Task:
    """Work for some node, and what follows from it here.

    Attributes:
        name: for messages.
        work: called without arguments on a node, by a worker that can import it.
        on_result: called here with what the work returned.
        on_failure: called here with a `RunError` if worker after worker died of it.
        options: Ray's, where it needs more of a node than one processor.
        attempts: how often it was tried in vain.
        nodes_lost: how often its node was lost.
    """

    name: str
    work: Callable[[], Any]
    on_result: Callable[[Any], None]
    on_failure: Callable[[RunError], None]
    options: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 0
    nodes_lost: int = 0


def run_tasks(tasks: deque[Task], stage: str) -> Cost:
    """Run tasks on the connected Ray cluster until there are none.

    Args:
        tasks: taken from the left; what follows from one may add more.
        stage: of the metric that counts what is tried again.

    Returns:
        What the tasks took where they ran; attempts that failed take it with them.

    Raises:
        RunError: the cluster failed again and again.
        Exception: whatever a task raised of itself, or the trouble of its machine if it lasted.
    """
    # Attempts are counted here, where the kinds of loss can be told apart.
    call = ray.remote(num_cpus=1, max_retries=0)(_call)
    running: dict[ray.ObjectRef, Task] = {}
    resting = _RetryQueue()
    cost = Cost()
    while tasks or running or resting:
        tasks.extendleft(resting.rested())
        while tasks and len(running) < _window():
            task = tasks.popleft()
            gpus = task.options.get("num_gpus", 0.0)
            running[call.options(**task.options).remote(task.work, gpus)] = task
        if not running:
            resting.wait()
            continue
        done, _ = ray.wait(list(running), num_returns=1, timeout=SECONDS_BETWEEN_CHECKS)
        for reference in done:
            task = running.pop(reference)
            try:
                outcome, spent = ray.get(reference)
            except RayError as error:
                again = _next_attempt(task, error)
                if again is not None:
                    RETRIES.add(stage)
                    resting.add(again)
            else:
                cost += spent
                task.on_result(outcome)
    return cost


def _call(work: Callable[[], Any], gpus: float) -> tuple[Any, Cost]:
    meter = CostMeter(gpus=gpus)
    return work(), meter.lap()


def _window() -> int:
    """Tasks in flight; the cluster may grow and shrink meanwhile."""
    least = TASKS_TO_GROW_BY if cluster_may_grow() else 1
    return max(TASKS_PER_CPU * int(ray.cluster_resources().get("CPU", 1)), least)


class _RetryQueue:
    """Tasks that wait before they are tried again, each time twice as long."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Task]] = []
        self._added = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, task: Task) -> None:
        tried = task.attempts + task.nodes_lost
        wait_s = min(FIRST_WAIT_S * 2.0 ** (tried - 1), LONGEST_WAIT_S)
        self._added += 1
        heapq.heappush(self._heap, (time.monotonic() + wait_s, self._added, task))

    def rested(self) -> list[Task]:
        found = []
        while self._heap and self._heap[0][0] <= time.monotonic():
            found.append(heapq.heappop(self._heap)[2])
        return found

    def wait(self) -> None:
        time.sleep(max(self._heap[0][0] - time.monotonic(), 0.0))


def _next_attempt(task: Task, error: RayError) -> Task | None:
    """The task to be tried again; None if it was given up.

    Raises:
        RunError: the cluster failed once too often.
        Exception: the task's own error, or a trouble of its machine once too often.
    """
    own = error.cause if isinstance(error, RayTaskError) else None
    reason = " ".join(str(own or error).split())[:LONGEST_REASON]
    logger.warning("%s: %s", task.name, reason)
    if isinstance(error, NodeDiedError) and task.nodes_lost < MAX_NODE_LOSSES:
        return replace(task, nodes_lost=task.nodes_lost + 1)
    passing = own is None or isinstance(own, MemoryError) or _is_transient(own)
    if passing and task.attempts + 1 < MAX_ATTEMPTS:
        return replace(task, attempts=task.attempts + 1)
    if isinstance(own or error, (NodeDiedError, WorkerCrashedError, OutOfMemoryError, MemoryError)):
        task.on_failure(RunError(f"{task.name}: its workers died again and again; {reason}"))
        return None
    if own is not None:
        raise own from error
    raise RunError(f"{task.name}: the cluster failed again and again; {reason}") from error


def _is_transient(error: Exception) -> bool:
    return isinstance(error, OSError) and not isinstance(error, PERMANENT_ERRORS)
