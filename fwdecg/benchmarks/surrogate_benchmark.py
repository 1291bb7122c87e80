"""The benchmark of the surrogate: training and prediction beside the step-by-step loop."""

import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from fwdecg.benchmarks.surrogate_speed import (
    OURS,
    PREDICTION,
    STEP_BY_STEP,
    TRAINING,
    Team,
    Work,
    team,
)
from fwdecg.benchmarks.turns import in_turns
from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store

ONE_CORE, ALL_CORES = "one core", "all cores"


def benchmark_surrogate(work: Work, folder: Path, *, turns: int) -> None:
    """Measure, and leave `report.txt` and `metrics.json` in a folder.

    On all cores the surrogate is trained by data-parallel workers of one thread, as `jobs/train.py`
    does it, and the loop by one process of as many threads; both predict in the way of the loop.

    Args:
        work: a batch, and what it is for.
        folder: where the result goes.
        turns: how often each is timed, after one time that is not counted.
    """
    cores = os.cpu_count() or 1
    workers = min(cores, work.training.batch_size)
    with ExitStack() as stack:

        def start(network: str, *, workers: int, threads: int) -> Team:
            return stack.enter_context(team(work, network, workers=workers, threads=threads))

        networks = (OURS, STEP_BY_STEP)
        narrow = {network: start(network, workers=1, threads=1) for network in networks}
        wide = {network: start(network, workers=1, threads=cores) for network in networks}
        doers = {
            (ONE_CORE, TRAINING): narrow,
            (ONE_CORE, PREDICTION): narrow,
            (ALL_CORES, TRAINING): wide | {OURS: start(OURS, workers=workers, threads=1)},
            (ALL_CORES, PREDICTION): wide,
        }
        measures = {
            (where, activity, network): partial(doer.seconds, activity)
            for (where, activity), pair in doers.items()
            for network, doer in pair.items()
        }
        found = in_turns(measures, turns + 1)
    seconds = {key: median(values[1:]) for key, values in found.items()}
    rows = {
        (where, activity): {
            network: work.training.batch_size / seconds[where, activity, network]
            for network in (OURS, STEP_BY_STEP)
        }
        for where, activity in doers
    }
    _publish(Store.at(folder), work, cores, rows)


def _publish(
    store: Store, work: Work, cores: int, rows: dict[tuple[str, str], dict[str, float]]
) -> None:
    metrics: dict[str, Any] = {
        "cores": cores,
        "torch": torch.__version__,
        "frames": work.frames,
        "map_pixels": work.pixels,
        "batch_size": work.training.batch_size,
        "cases_per_s": {f"{activity}, {where}": rate for (where, activity), rate in rows.items()},
    }
    store.publish_json(METRICS_FILE, metrics)
    lines = [
        f"Cases per second, batches of {work.training.batch_size}, {work.frames} frames of "
        f"{work.pixels} x {work.pixels}, {cores} cores",
        f"  {'':24s}{OURS:>10s}{STEP_BY_STEP:>16s}{'times':>9s}",
    ]
    for (where, activity), rate in rows.items():
        ours, plain = rate[OURS], rate[STEP_BY_STEP]
        title = f"{activity}, {where}"
        lines.append(f"  {title:24s}{ours:10.2f}{plain:16.2f}{ours / plain:9.1f}")
    store.publish(REPORT_FILE, "\n".join(lines) + "\n")
