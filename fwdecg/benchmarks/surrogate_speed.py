"""How fast the surrogate trains and predicts, in worker processes that a benchmark asks in turn."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from fwdecg.benchmarks.step_by_step import StepByStep
from fwdecg.model import Surrogate, SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.training.batches import Batch, Cases
from fwdecg.training.epoch import Objective, train_epoch
from fwdecg.training.precision import autocasts
from fwdecg.training.training_config import TrainingConfig
from fwdecg.training.workers import WORKER_ENVIRONMENT, own_seat, parallel

OURS, STEP_BY_STEP = "fwdecg", "step by step"
TRAINING, PREDICTION = "training", "prediction"


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is timed: a batch of random maps for a surrogate.

    Attributes:
        model: configuration of the surrogate.
        training: gives batch size and, for `OURS`, precision; `STEP_BY_STEP` takes float32.
        frames: of a case.
        pixels: rows and columns of a map.
        electrodes: number of ECG channels.
    """

    model: SurrogateConfig
    training: TrainingConfig
    frames: int
    pixels: int
    electrodes: int


class Team:
    """Worker processes that hold a network and do the same at the same time."""

    def __init__(self, connections: list[Connection]) -> None:
        """Speak with processes through these."""
        self.connections = connections

    def seconds(self, activity: str) -> float:
        """Wall time that the slowest worker takes for its share of one batch.

        Args:
            activity: `TRAINING` or `PREDICTION`.
        """
        for connection in self.connections:
            connection.send(activity)
        return max(connection.recv() for connection in self.connections)


@contextmanager
def team(work: Work, network: str, *, workers: int, threads: int) -> Iterator[Team]:
    """Worker processes with a share of the batch each, which train data-parallel.

    Args:
        work: what they do.
        network: `OURS`, with the environment of a training's workers, or `STEP_BY_STEP` without.
        workers: their number.
        threads: of torch in each.
    """
    context = get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="fwdecg-team-") as folder:
        processes, connections = [], []
        with _environment(WORKER_ENVIRONMENT if network == OURS else {}):
            for rank in range(workers):
                ours, theirs = context.Pipe()
                seat = (rank, workers, threads, Path(folder) / "meeting")
                arguments = (work, network, seat, theirs)
                process = context.Process(target=_serve, args=arguments, daemon=True)
                process.start()
                processes.append(process)
                connections.append(ours)
        try:
            yield Team(connections)
        finally:
            for process in processes:
                process.terminate()
                process.join()


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables that processes started meanwhile inherit."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _serve(
    work: Work, network: str, seat: tuple[int, int, int, Path], connection: Connection
) -> None:
    rank, workers, threads, meeting = seat
    torch.set_num_threads(threads)
    if workers > 1:
        distributed.init_process_group(
            "gloo", init_method=f"file://{meeting}", rank=rank, world_size=workers
        )
    activities = _activities(work, network)
    while True:
        activity = activities[connection.recv()]
        started = time.perf_counter()
        activity()
        connection.send(time.perf_counter() - started)


def untrained(model: SurrogateConfig, electrodes: int) -> Surrogate:
    """A surrogate to be timed: weights and z-scores do not change what it costs."""
    scale = Standardisation(
        u_mean=0.5, u_spread=0.5, phi_e_mean=(0.0,) * electrodes, phi_e_spread=(1.0,) * electrodes
    )
    return model.build(electrodes=electrodes, standardisation=scale)


def _activities(work: Work, network: str) -> dict[str, Callable[[], object]]:
    torch.manual_seed(work.training.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    surrogate = untrained(work.model, work.electrodes).to(device)
    timed = surrogate if network == OURS else StepByStep(surrogate)
    autocast = network == OURS and autocasts(work.training.precision, device)
    batch = _batch(work)
    return {
        TRAINING: _training(work, surrogate, timed, batch, autocast),
        PREDICTION: _prediction(surrogate, timed, batch),
    }


def _batch(work: Work) -> Batch:
    """This worker's share of a batch."""
    seat = own_seat()
    count = len(range(seat.rank, work.training.batch_size, seat.workers))
    cases = Cases(
        case_id=torch.arange(count),
        u=torch.rand(count, work.frames, work.pixels, work.pixels).half(),
        phi_e=torch.randn(count, work.frames, work.electrodes),
    )
    return Batch(cases=cases, global_size=work.training.batch_size)


def _training(
    work: Work, surrogate: Surrogate, network: nn.Module, batch: Batch, autocast: bool
) -> Callable[[], object]:
    training = work.training
    objective = Objective(
        loss=training.loss.build(),
        omega=0.5,
        gradient_norm=training.gradient_norm,
        autocast=autocast,
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=0.0)
    together = parallel(network)

    def train() -> None:
        network.train()
        train_epoch(surrogate, together, [batch], optimizer=optimizer, objective=objective)

    return train


def _prediction(surrogate: Surrogate, network: nn.Module, batch: Batch) -> Callable[[], object]:
    @torch.no_grad()
    def predict() -> Tensor:
        network.eval()
        u = batch.cases.u.to(surrogate.device)
        return surrogate.phi_e_score.inverse(network(u)).cpu()

    return predict
