"""Interleaved measurements, and the files in which a benchmark publishes its results."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store

logger = logging.getLogger(__name__)


def interleave(
    measurements: Mapping[str, Callable[[], float]], rounds: int
) -> dict[str, list[float]]:
    """Return the values of each measurement, one per round.

    Each round calls every function once, in the given order, so that drift in machine load affects
    every candidate equally.
    """
    values: dict[str, list[float]] = {name: [] for name in measurements}
    for number in range(1, rounds + 1):
        for name, measure in measurements.items():
            values[name].append(measure())
        latest = ", ".join(f"{name} {each[-1]:.4g}" for name, each in values.items())
        logger.info("round %d of %d: %s", number, rounds, latest)
    return values


def median_seconds(functions: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median time of each function over interleaved rounds.

    A warm-up round before them does not count.
    """
    timed = {name: partial(seconds, function) for name, function in functions.items()}
    return {name: median(each[1:]) for name, each in interleave(timed, rounds + 1).items()}


def seconds(function: Callable[[], Any]) -> float:
    """Return the wall time of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def publish(folder: Path, metrics: dict[str, Any], report: Iterable[str]) -> None:
    """Write `metrics.json`, and the lines of `report.txt`."""
    store = Store.at(folder)
    store.publish_json(METRICS_FILE, metrics)
    store.publish(REPORT_FILE, "\n".join(report) + "\n")
