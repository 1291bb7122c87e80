"""The cases of a library predicted by actors of a Ray cluster, which Ray Data feeds.

Each actor holds the networks on a GPU of its own, or where there is none, on one thread of a
processor. Files are read, batches predicted and results handed over at the same time, some of each
in memory. Lost actors are started again, and their batches predicted by others.
"""

import logging
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray.data
import torch
from ray.exceptions import RayError

from fwdecg.cases.splits import ALL
from fwdecg.errors import FwdEcgError, LibraryError, RunError, error_summary
from fwdecg.evaluation.ensemble import Ensemble, Forecast
from fwdecg.evaluation.predictions import SPREAD, CaseForecasts
from fwdecg.library.dataset import quiet_ray_data
from fwdecg.library.reader import Library
from fwdecg.library.schema import CASE_ID, CONDITION, PHI_E, SPLIT, U, tensor_column
from fwdecg.runtime.storage import Store
from fwdecg.training.trained_surrogate import TrainedSurrogate

logger = logging.getLogger(__name__)

PART = "part"
LABELS = (CASE_ID, CONDITION, SPLIT)

# An actor and a reader share a processor: an actor computes all the time, a reader seldom. Where
# actors reserved processors whole, nobody could read what they wait for; so it would be with
# ray.data.read_parquet, which lists files in a task that takes a processor of its own.
CPUS_PER_ACTOR, CPUS_PER_READER = 0.75, 0.25

Batch = dict[str, np.ndarray]


def forecast_on_cluster(
    library: Library, members: Sequence[TrainedSurrogate], batch_size: int
) -> Iterator[CaseForecasts]:
    """The forecasts of a library's cases by case id, made by the cluster that is connected.

    Raises:
        LibraryError: a part cannot be read.
        CheckpointError: a predicted value is not finite.
        RunError: the work failed.
    """
    library.dataset()  # looks at the columns of all parts, which readers elsewhere do not
    quiet_ray_data()
    gpus, cpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("GPU", "CPU"))
    batches = -(-library.count(ALL) // batch_size)
    actors = min(gpus or max(cpus, 1), batches)
    logger.info("predicting with %d actors, each on a %s", actors, "GPU" if gpus else "processor")
    predicted = _stream(library, batch_size).map_batches(
        _Actor,
        fn_constructor_args=(list(members), batch_size),
        batch_size=batch_size,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=actors),
        **({"num_gpus": 1} if gpus else {"num_cpus": CPUS_PER_ACTOR}),
    )
    try:
        for batch in predicted.iter_batches(batch_size=None, batch_format="numpy"):
            yield _forecasts(batch)
    except RayError as error:
        raise _reason(error) from error


def _stream(library: Library, batch_size: int) -> ray.data.Dataset:
    """The cases of a library by case id, about a batch in a block."""
    parts = [{PART: part["file"]} for part in library.manifest["parts"]]
    cases = ray.data.from_items(parts, override_num_blocks=len(parts)).map_batches(
        partial(_read_parts, store=library.store, cases_at_once=batch_size),
        batch_size=1,
        batch_format="numpy",
        num_cpus=CPUS_PER_READER,
    )
    cases.context.execution_options.preserve_order = True
    # A block is what one actor takes at a time: a batch, lest one has all and the others nothing.
    cases.context.target_max_block_size = batch_size * library.config.recording.map_bytes
    cases.context.raise_original_map_exception = True  # Ray's own wrapping loses it on its way
    return cases


def _read_parts(parts: Batch, *, store: Store, cases_at_once: int) -> Iterator[Batch]:
    """Labels and maps of the cases of some parts, in their order."""
    for part in parts[PART]:
        try:
            with store.open(part) as stream:
                rows = pq.ParquetFile(stream).iter_batches(cases_at_once, columns=[*LABELS, U])
                for batch in rows:
                    table = pa.table(batch)
                    labels = {name: table[name].to_numpy() for name in LABELS}
                    yield labels | {U: tensor_column(table, U)}
        except (OSError, pa.ArrowInvalid) as error:
            raise LibraryError(
                f"{store.label(part)} cannot be read: {error}; build it again"
            ) from error


class _Actor:
    """Predicts batches of cases, whose maps it does not send back."""

    def __init__(self, members: Sequence[TrainedSurrogate], batch_size: int) -> None:
        if not torch.cuda.is_available():
            torch.set_num_threads(1)
        self.ensemble = Ensemble.of(members, batch_size)

    def __call__(self, batch: Batch) -> Batch:
        forecast = self.ensemble.predict(batch[U])
        predicted = {name: batch[name] for name in LABELS} | {PHI_E: forecast.phi_e}
        return predicted if forecast.spread is None else predicted | {SPREAD: forecast.spread}


def _forecasts(batch: Batch) -> CaseForecasts:
    return CaseForecasts(
        case_id=batch[CASE_ID],
        condition=batch[CONDITION].tolist(),
        split=batch[SPLIT].tolist(),
        forecast=Forecast(phi_e=batch[PHI_E], spread=batch.get(SPREAD)),
    )


def _reason(error: RayError) -> FwdEcgError:
    """A worker's own error if it is one of ours, else the gist of the failure."""
    cause: BaseException = error
    # Ray's errors pass for what they wrap, but with a traceback for a message.
    while isinstance(cause, RayError):
        inner = getattr(cause, "cause", None) or cause.__cause__
        if inner is None:
            break
        cause = inner
    if isinstance(cause, FwdEcgError) and not isinstance(cause, RayError):
        return type(cause)(str(cause).splitlines()[0])  # below it Ray adds advice of its own
    return RunError(f"the prediction failed: {error_summary(cause)}")
