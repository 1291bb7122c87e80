"""The benchmark of the surrogate: cases trained and predicted per second on 1 and 2 threads."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import torch

from fwdecg.benchmarks.interleave import interleave
from fwdecg.model import Surrogate, SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.model.surrogate import build_surrogate
from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store
from fwdecg.training.batches import Cases
from fwdecg.training.epoch import train_epoch
from fwdecg.training.training_config import TrainingConfig
from fwdecg.training.workers import WORKER_ENVIRONMENT

THREADS = (1, 2)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The timed work: one batch of random voltage maps.

    Attributes:
        model: configuration of the surrogate.
        training: training settings, of which batch size, loss and precision matter here.
        frames: frames per case.
        pixels: rows and columns of a map.
        electrodes: number of ECG channels.
    """

    model: SurrogateConfig
    training: TrainingConfig
    frames: int
    pixels: int
    electrodes: int


def benchmark_surrogate(workload: Workload, folder: Path, *, rounds: int) -> None:
    """Time training and prediction and write `report.txt` and `metrics.json`.

    The measurements run in a process of their own, because the allocator settings of a training
    worker take effect only when a process starts.

    Args:
        workload: model, training settings and size of the batch.
        folder: result folder.
        rounds: number of interleaved rounds; a warm-up round before them does not count.
    """
    with (
        _environment(WORKER_ENVIRONMENT),
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        cases_per_s = pool.submit(cases_per_second, workload, rounds).result()
    _publish(Store.at(folder), workload, cases_per_s)


def cases_per_second(workload: Workload, rounds: int) -> dict[str, float]:
    """Return the median rate of each activity at each number of threads, in this process."""
    torch.manual_seed(workload.training.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    surrogate = untrained_surrogate(workload.model, workload.electrodes).to(device)
    cases = _random_cases(workload)
    activities = {
        "training": _training_step(workload.training, surrogate, cases),
        "prediction": lambda: surrogate.eval().predict(cases.u.to(device)).cpu(),
    }
    measurements = {
        f"{name}, {threads} thread{'s' if threads > 1 else ''}": partial(
            _seconds, activity, threads
        )
        for name, activity in activities.items()
        for threads in THREADS
    }
    seconds = interleave(measurements, rounds + 1)
    return {name: len(cases) / median(each[1:]) for name, each in seconds.items()}


def untrained_surrogate(model: SurrogateConfig, electrodes: int) -> Surrogate:
    """Return a surrogate for timing; its cost does not depend on its weights and z-scores."""
    scale = Standardisation(
        u_mean=0.5, u_spread=0.5, phi_e_mean=(0.0,) * electrodes, phi_e_spread=(1.0,) * electrodes
    )
    return build_surrogate(model, electrodes=electrodes, standardisation=scale)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that start within the block."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _random_cases(workload: Workload) -> Cases:
    size, frames, pixels = workload.training.batch_size, workload.frames, workload.pixels
    return Cases(
        case_id=torch.arange(size),
        u=torch.rand(size, frames, pixels, pixels).half(),
        phi_e=torch.randn(size, frames, workload.electrodes),
    )


def _training_step(
    training: TrainingConfig, surrogate: Surrogate, cases: Cases
) -> Callable[[], object]:
    """Return a function that runs one training step and leaves the weights as they are."""
    optimizer = torch.optim.Adam(surrogate.parameters(), lr=0.0)
    return partial(
        train_epoch,
        surrogate,
        surrogate,
        [(cases, len(cases))],
        optimizer=optimizer,
        config=training,
        omega=0.5,
    )


def _seconds(activity: Callable[[], object], threads: int) -> float:
    torch.set_num_threads(threads)
    started = time.perf_counter()
    activity()
    return time.perf_counter() - started


def _publish(store: Store, workload: Workload, cases_per_s: dict[str, float]) -> None:
    store.publish_json(
        METRICS_FILE,
        {
            "cores": os.cpu_count(),
            "torch": torch.__version__,
            "frames": workload.frames,
            "map_pixels": workload.pixels,
            "batch_size": workload.training.batch_size,
            "cases_per_s": cases_per_s,
        },
    )
    lines = [
        f"Cases per second, batches of {workload.training.batch_size}, {workload.frames} frames of "
        f"{workload.pixels} x {workload.pixels}, {os.cpu_count()} cores",
        *(f"  {name:24s}{rate:10.2f}" for name, rate in cases_per_s.items()),
    ]
    store.publish(REPORT_FILE, "\n".join(lines) + "\n")
