"""Metrics of running work, which Ray exports to Prometheus on a port of every node.

Their names and meanings stand here and nowhere else. Where no Ray cluster is connected nothing
happens, and Ray is not loaded for it.
"""

import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

# The values of the one tag, `stage`.
BUILD, TRAINING, SWEEP, ABLATION = "build", "training", "sweep", "ablation"


@dataclass(frozen=True)
class Counter:
    """A number that only grows; its rate is for Prometheus to work out."""

    name: str
    meaning: str

    def add(self, stage: str, amount: float = 1.0) -> None:
        """Count."""
        if _connected() and amount > 0:  # Ray takes no 0
            _exported("Counter", self.name, self.meaning).inc(amount, {"stage": stage})


@dataclass(frozen=True)
class Gauge:
    """A number that rises and falls."""

    name: str
    meaning: str

    def set(self, stage: str, value: float) -> None:
        """Show a value."""
        if _connected():
            _exported("Gauge", self.name, self.meaning).set(value, {"stage": stage})


ITEMS = Counter(
    "fwdecg_items",
    "done: cases of a build, cases times epochs of training and sweep, trainings of an ablation",
)
FAILURES = Counter("fwdecg_failures", "given up: cases quarantined, trials and trainings failed")
RETRIES = Counter(
    "fwdecg_retries", "tried again after a worker, a node or the storage failed, or memory ran out"
)
FRACTION_DONE = Gauge("fwdecg_share_done", "of the stage, 0 to 1; of a resumed build, of the rest")
ITEMS_PER_SECOND = Gauge(
    "fwdecg_items_per_second",
    "items by the clock: since a build began, in the last epoch of a training",
)
EXPORTED = (ITEMS, FAILURES, RETRIES, FRACTION_DONE, ITEMS_PER_SECOND)


def _connected() -> bool:
    """Whether this process belongs to a Ray cluster; if so it has loaded Ray itself."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()


@cache
def _exported(kind: str, name: str, meaning: str) -> Any:
    from ray.util import metrics  # noqa: PLC0415

    return getattr(metrics, kind)(name, description=meaning, tag_keys=("stage",))
