"""Fan-out: Ray tasks, a bounded number at a time, tried again when what they ran on fails.

A task's own error ends the run. The loss of its worker or node, trouble of the store and lack of
memory do not: it is submitted again, up to a limit beyond which the task itself is to blame.
"""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import ray

from fwdecg.errors import RunError

logger = logging.getLogger(__name__)

TASKS_PER_CPU = 2  # one running, one waiting, so that no processor idles between two tasks
SECONDS_BETWEEN_CHECKS = 5.0
LARGEST_ATTEMPTS = 6
_PASSING = (OSError, MemoryError)


@dataclass(frozen=True, eq=False)
class Task:
    """Work for some node, and what follows from it here.

    Attributes:
        name: for messages.
        work: called without arguments on a node, by a worker that can import it.
        then: called here with what the work returned.
        lost: called here with a `RunError` if worker after worker died of it.
        attempts: how often it was tried in vain.
    """

    name: str
    work: Callable[[], Any]
    then: Callable[[Any], None]
    lost: Callable[[RunError], None]
    attempts: int = 0


def run_tasks(tasks: deque[Task]) -> None:
    """Run tasks on the connected Ray cluster until there are none.

    Args:
        tasks: taken from the left; what follows from one may add more.

    Raises:
        Exception: whatever a task raised of itself, or the trouble of its machine if it lasted.
    """
    # Attempts are counted here, where the kinds of loss can be told apart.
    call = ray.remote(num_cpus=1, max_retries=0)(_call)
    running: dict[ray.ObjectRef, Task] = {}
    while tasks or running:
        while tasks and len(running) < _window():
            task = tasks.popleft()
            running[call.remote(task.work)] = task
        done, _ = ray.wait(list(running), num_returns=1, timeout=SECONDS_BETWEEN_CHECKS)
        for reference in done:
            task = running.pop(reference)
            try:
                outcome = ray.get(reference)
            except ray.exceptions.RayError as error:
                _retry(task, error, tasks)
            else:
                task.then(outcome)


def _call(work: Callable[[], Any]) -> Any:
    return work()


def _window() -> int:
    """Tasks in flight; the cluster may grow and shrink meanwhile."""
    return max(TASKS_PER_CPU * int(ray.cluster_resources().get("CPU", 1)), 1)


def _retry(task: Task, error: ray.exceptions.RayError, tasks: deque[Task]) -> None:
    """Queue a failed task again, unless it is to blame."""
    if isinstance(error, ray.exceptions.NodeDiedError):  # nodes come and go
        tasks.appendleft(task)
        return
    own = error.cause if isinstance(error, ray.exceptions.RayTaskError) else None
    attempts = task.attempts + 1
    if own is not None and (attempts == LARGEST_ATTEMPTS or not isinstance(own, _PASSING)):
        raise own from error
    first_line = str(own or error).strip().partition("\n")[0]
    if attempts == LARGEST_ATTEMPTS:
        task.lost(RunError(f"{task.name}: its worker died {attempts} times; {first_line}"))
        return
    logger.warning("%s: %s; trying again", task.name, first_line)
    tasks.appendleft(replace(task, attempts=attempts))
