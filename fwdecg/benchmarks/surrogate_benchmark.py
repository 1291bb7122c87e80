"""The benchmark of the surrogate: cases trained and predicted per second on 1 and 2 threads."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

import torch

from fwdecg.benchmarks.timing import median_seconds, publish
from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.model import Surrogate, SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.model.surrogate import build_surrogate
from fwdecg.training.batches import Cases
from fwdecg.training.epoch import train_epoch
from fwdecg.training.training_config import TrainingConfig
from fwdecg.training.workers import WORKER_ENVIRONMENT


def benchmark_surrogate(
    model: SurrogateConfig,
    training: TrainingConfig,
    recording: RecordingConfig,
    folder: Path,
    *,
    rounds: int,
) -> None:
    """Time training and prediction of one batch of random voltage maps.

    The measurements run in a process of their own, because the allocator settings of a training
    worker take effect only when a process starts.

    Args:
        model: configuration of the surrogate.
        training: training settings, of which batch size, loss and precision matter here.
        recording: number and size of the maps of a case, and number of electrodes.
        folder: result folder, in which `report.txt` and `metrics.json` are written.
        rounds: number of interleaved rounds; a warm-up round before them does not count.
    """
    with (
        patch.dict(os.environ, WORKER_ENVIRONMENT),
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        cases_per_s = pool.submit(_cases_per_second, model, training, recording, rounds).result()
    batch_size, frames, pixels = training.batch_size, recording.frames, recording.map_pixels
    metrics = {
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "frames": frames,
        "map_pixels": pixels,
        "batch_size": batch_size,
        "cases_per_s": cases_per_s,
    }
    report = [
        f"Cases per second, batches of {batch_size}, {frames} frames of {pixels} x {pixels}, "
        f"{os.cpu_count()} cores",
        *(f"  {name:24s}{rate:10.2f}" for name, rate in cases_per_s.items()),
    ]
    publish(folder, metrics, report)


def untrained_surrogate(model: SurrogateConfig, electrodes: int) -> Surrogate:
    """Return a surrogate for timing. The values of weights and z-scores do not affect its cost."""
    scale = Standardisation(
        u_mean=0.5, u_spread=0.5, phi_e_mean=(0.0,) * electrodes, phi_e_spread=(1.0,) * electrodes
    )
    return build_surrogate(model, electrodes=electrodes, standardisation=scale)


def _cases_per_second(
    model: SurrogateConfig, training: TrainingConfig, recording: RecordingConfig, rounds: int
) -> dict[str, float]:
    """Return the median rate of each activity at each number of threads, in this process."""
    torch.manual_seed(training.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    surrogate = untrained_surrogate(model, recording.electrode_count).to(device)
    size, frames, pixels = training.batch_size, recording.frames, recording.map_pixels
    cases = Cases(
        case_id=torch.arange(size),
        u=torch.rand(size, frames, pixels, pixels).half(),
        phi_e=torch.randn(size, frames, recording.electrode_count),
    )
    train = partial(
        train_epoch,
        surrogate,
        surrogate,
        [(cases, size)],
        optimizer=torch.optim.Adam(surrogate.parameters(), lr=0.0),  # leaves the weights unchanged
        config=training,
        omega=0.5,
    )
    predict = partial(_predict, surrogate, cases)
    activities = {
        "training, 1 thread": partial(_run, train, 1),
        "training, 2 threads": partial(_run, train, 2),
        "prediction, 1 thread": partial(_run, predict, 1),
        "prediction, 2 threads": partial(_run, predict, 2),
    }
    return {name: size / each for name, each in median_seconds(activities, rounds).items()}


def _run(activity: Callable[[], object], threads: int) -> None:
    torch.set_num_threads(threads)
    activity()


def _predict(surrogate: Surrogate, cases: Cases) -> torch.Tensor:
    return surrogate.eval().predict(cases.u.to(surrogate.device)).cpu()
