"""Prediction of a library by actors of a Ray cluster, which Ray Data feeds.

Each actor runs the networks on its own GPU or, on a cluster without GPUs, on a single thread.
Reading, prediction and collection of the results overlap, and memory holds only a few batches. Ray
restarts actors that fail, and other actors take over their batches.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import ray.data
import torch
from ray.exceptions import RayError

from fwdecg.cases.splits import ALL
from fwdecg.errors import FwdEcgError, LibraryError, RunError, error_summary
from fwdecg.evaluation.ensemble import Ensemble, Forecast
from fwdecg.library.dataset import quiet_ray_data
from fwdecg.library.labelled_cases import stream_labelled_cases
from fwdecg.library.reader import Library
from fwdecg.library.schema import CASE_ID, CONDITION, SPLIT, U
from fwdecg.training.trained_surrogate import TrainedSurrogate

logger = logging.getLogger(__name__)

PART = "part"  # column with the number of a part in the manifest
LABELS = (CASE_ID, CONDITION, SPLIT)
MEAN, DEVIATION = "mean", "deviation"  # columns with the predictions

# An actor and a reader share a CPU, because a reader is rarely busy and an actor almost always. If
# actors reserved all CPUs, no reader could run and the actors would wait forever. For the same
# reason the readers do not use ray.data.read_parquet, whose listing task reserves a whole CPU.
CPUS_PER_ACTOR, CPUS_PER_READER = 0.75, 0.25

Batch = dict[str, np.ndarray]


def forecast_on_cluster(
    library: Library, members: Sequence[TrainedSurrogate], batch_size: int
) -> Iterator[tuple[Batch, Forecast]]:
    """Predict the cases of a library on the connected cluster, in the order of their case ids.

    Args:
        library: library whose maps are predicted.
        members: the surrogate, or the members of an ensemble.
        batch_size: number of cases that an actor predicts at once.

    Yields:
        The labels and the predicted ECGs of one batch.

    Raises:
        LibraryError: a part cannot be read.
        CheckpointError: a predicted value is not finite.
        RunError: the work on the cluster failed.
    """
    library.dataset()  # refuse parts with unexpected column types before any worker starts
    quiet_ray_data()
    gpus, cpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("GPU", "CPU"))
    batches = -(-library.count(ALL) // batch_size)
    actors = min(gpus or max(cpus, 1), batches)
    logger.info("predicting with %d actors, each on a %s", actors, "GPU" if gpus else "CPU")
    predicted = _stream(library, batch_size).map_batches(
        _PredictionActor,
        fn_constructor_args=(list(members), batch_size),
        batch_size=batch_size,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=actors),
        **({"num_gpus": 1} if gpus else {"num_cpus": CPUS_PER_ACTOR}),
    )
    try:
        for batch in predicted.iter_batches(batch_size=None, batch_format="numpy"):
            labels = {name: batch[name] for name in LABELS}
            yield labels, Forecast(phi_e=batch[MEAN], phi_e_std=batch.get(DEVIATION))
    except RayError as error:
        raise _original_error(error) from error


def _stream(library: Library, batch_size: int) -> ray.data.Dataset:
    """Return a dataset of labels and maps, ordered by case id, with about one batch per block."""
    count = len(library.manifest["parts"])
    parts = [{PART: number} for number in range(count)]
    cases = ray.data.from_items(parts, override_num_blocks=count).map_batches(
        partial(_read_parts, library=library),
        batch_size=1,
        batch_format="numpy",
        num_cpus=CPUS_PER_READER,
    )
    cases.context.execution_options.preserve_order = True
    # An actor takes one block at a time. Larger blocks would leave other actors without work.
    cases.context.target_max_block_size = batch_size * library.config.recording.map_bytes
    cases.context.raise_original_map_exception = True  # Ray's own wrapper would lose the exception
    return cases


def _read_parts(batch: Batch, *, library: Library) -> Iterator[Batch]:
    """Yield the labels and maps of the cases of some parts."""
    for number in batch[PART]:
        part = library.manifest["parts"][number]
        single = replace(library, manifest=library.manifest | {"parts": [part]})
        try:
            for cases in stream_labelled_cases(single):
                yield {
                    CASE_ID: cases.case_id,
                    CONDITION: np.array(cases.condition),
                    SPLIT: np.array(cases.split),
                    U: cases.u,
                }
        except LibraryError as error:
            raise LibraryError(
                f"{library.store.label(part['file'])} cannot be read: {error.__cause__ or error}; "
                "build it again"
            ) from error


class _PredictionActor:
    """Predicts batches of cases and returns the ECGs without the maps."""

    def __init__(self, members: Sequence[TrainedSurrogate], batch_size: int) -> None:
        if not torch.cuda.is_available():
            torch.set_num_threads(1)
        self.ensemble = Ensemble(members, batch_size)

    def __call__(self, batch: Batch) -> Batch:
        forecast = self.ensemble.predict(batch[U])
        predicted = {name: batch[name] for name in LABELS} | {MEAN: forecast.phi_e}
        if forecast.phi_e_std is not None:
            predicted[DEVIATION] = forecast.phi_e_std
        return predicted


def _original_error(error: RayError) -> FwdEcgError:
    """Return the error that fwdecg raised in a worker, or a summary of any other failure."""
    cause: BaseException = error
    # Ray's errors imitate the class of the error they wrap, but their message is a traceback.
    while isinstance(cause, RayError):
        inner = getattr(cause, "cause", None) or cause.__cause__
        if inner is None:
            break
        cause = inner
    if isinstance(cause, FwdEcgError) and not isinstance(cause, RayError):
        return type(cause)(str(cause).splitlines()[0])  # Ray appends its own advice
    return RunError(f"the prediction failed: {error_summary(cause)}")
