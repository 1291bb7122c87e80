"""Metrics of running work. Ray exports them to Prometheus on a port of every node.

All names and meanings are defined here. Without a connected Ray cluster the metrics do nothing and
Ray is not imported.
"""

import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

# Values of the only tag, `stage`.
BUILD, TRAINING, SWEEP, ABLATION = "build", "training", "sweep", "ablation"


@dataclass(frozen=True)
class Counter:
    """A metric that only increases. Prometheus derives rates from it."""

    name: str
    meaning: str

    def add(self, stage: str, amount: float = 1.0) -> None:
        """Increase the counter of a stage."""
        if _connected() and amount > 0:  # Ray rejects 0
            _ray_metric("Counter", self.name, self.meaning).inc(amount, {"stage": stage})


@dataclass(frozen=True)
class Gauge:
    """A metric that can rise and fall."""

    name: str
    meaning: str

    def set(self, stage: str, value: float) -> None:
        """Set the gauge of a stage."""
        if _connected():
            _ray_metric("Gauge", self.name, self.meaning).set(value, {"stage": stage})


ITEMS = Counter(
    "fwdecg_items",
    "finished items: cases of a build, cases times epochs of training and sweep, trainings of an "
    "ablation",
)
FAILURES = Counter(
    "fwdecg_failures", "items given up: quarantined cases, failed trials and trainings"
)
RETRIES = Counter(
    "fwdecg_retries", "retries after a worker, a node or the storage failed, or memory ran out"
)
FRACTION_DONE = Gauge(
    "fwdecg_share_done",
    "finished fraction of the stage, 0 to 1; a resumed build counts only the remaining cases",
)
ITEMS_PER_SECOND = Gauge(
    "fwdecg_items_per_second",
    "items per second of wall time: since the start of a build, in the last epoch of a training",
)


def _connected() -> bool:
    """Return whether this process is connected to Ray, without importing Ray if it is not."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()


@cache
def _ray_metric(kind: str, name: str, meaning: str) -> Any:
    from ray.util import metrics  # noqa: PLC0415

    return getattr(metrics, kind)(name, description=meaning, tag_keys=("stage",))
