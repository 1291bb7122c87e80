"""Predicted ECGs as one Parquet file, for the cases of a library or for a user's own maps.

Axes: N case, E electrode, T frame, H row, W column.
"""

import contextlib
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fwdecg.cases.splits import ALL
from fwdecg.errors import ResultError
from fwdecg.evaluation.ensemble import Ensemble, Forecast
from fwdecg.library.labelled_cases import stream_labelled_cases
from fwdecg.library.reader import Library
from fwdecg.library.schema import CASE_ID, CONDITION, PHI_E, SPLIT
from fwdecg.maps.recording_format import OwnMaps
from fwdecg.runtime.progress import Progress
from fwdecg.runtime.storage import STAGING, Store
from fwdecg.training.trained_surrogate import TrainedSurrogate

logger = logging.getLogger(__name__)

PHI_E_STD = "phi_e_spread"  # column of the ensemble's standard deviation
UNIT = "mm/ms"

Labels = Mapping[str, Sequence[str] | np.ndarray]  # by name of the column


@dataclass(frozen=True, kw_only=True)
class PredictionRun:
    """Number of predicted cases, and the time that prediction and writing took."""

    cases: int
    seconds: float

    @property
    def cases_per_second(self) -> float:
        """Number of cases per second of wall time."""
        return self.cases / self.seconds


def forecast_in_process(
    library: Library, members: Sequence[TrainedSurrogate], batch_size: int
) -> Iterator[tuple[Labels, Forecast]]:
    """Predict the cases of a library in this process, in the order of their case ids.

    Raises:
        LibraryError: a part cannot be read.
        CheckpointError: a predicted value is not finite.
    """
    ensemble = Ensemble(members, batch_size)
    for cases in stream_labelled_cases(library):
        labels: Labels = {CASE_ID: cases.case_id, CONDITION: cases.condition, SPLIT: cases.split}
        yield labels, ensemble.predict(cases.u)


def predict_library(
    library: Library,
    members: Sequence[TrainedSurrogate],
    path: Path,
    *,
    batch_size: int,
    on_cluster: bool = False,
) -> PredictionRun:
    """Predict every case of a library and write the ECGs into one file, ordered by case id.

    Args:
        library: library whose maps are predicted, a few cases at a time.
        members: the surrogate, or the members of an ensemble.
        path: Parquet file with the columns case_id, condition, split and phi_e.
        batch_size: number of cases predicted at once.
        on_cluster: whether actors of the connected Ray cluster predict instead of this process.

    Raises:
        CheckpointError: a surrogate does not fit the library, or a predicted value is not finite.
        LibraryError: a part cannot be read.
        ResultError: the file exists or cannot be written.
        RunError: the work on the cluster failed.
    """
    for member in members:
        member.signature.require_fit(library.config)
    progress = Progress(logger, "cases predicted", library.count(ALL))

    forecast_library = forecast_in_process
    if on_cluster:
        from fwdecg.evaluation.prediction_actors import forecast_on_cluster  # noqa: PLC0415  # Ray

        forecast_library = forecast_on_cluster

    def tables() -> Iterator[pa.Table]:
        for labels, forecast in forecast_library(library, members, batch_size):
            yield predictions_table(labels, forecast, members)
            progress.advance(len(forecast.phi_e))

    return write_predictions(path, tables())


def predict_own_maps(
    own: OwnMaps,
    members: Sequence[TrainedSurrogate],
    path: Path,
    *,
    batch_size: int,
) -> PredictionRun:
    """Predict a user's own maps and write the ECGs into one file, with cases numbered from 0.

    Args:
        own: voltage maps, and what is known of their format.
        members: the surrogate, or the members of an ensemble.
        path: new Parquet file with the columns case_id and phi_e.
        batch_size: number of cases predicted at once.

    Raises:
        MapsError: the maps do not fit the surrogate, as in `TrainedSurrogate.predict`.
        CheckpointError: a predicted value is not finite.
        ResultError: the file exists or cannot be written.
    """
    u = members[0].prepare(own)

    def tables() -> Iterator[pa.Table]:
        forecast = (
            Ensemble(members, batch_size).predict(u).at_times(members[0].signature, own.times_ms)
        )
        yield predictions_table({CASE_ID: np.arange(len(u))}, forecast, members)

    return write_predictions(path, tables())


def predictions_table(
    labels: Labels, forecast: Forecast, members: Sequence[TrainedSurrogate]
) -> pa.Table:
    """Return one row for each case: its labels and the tensor `phi_e`.

    The table of an ensemble also has the tensor `phi_e_spread`, its standard deviation.

    Args:
        labels: label columns by name: the number of each case, and any columns of text.
        forecast: predicted ECGs.
        members: surrogates that made the predictions; the schema's metadata records their hashes.
    """
    columns = [pa.array(values) for values in labels.values()]
    fields = [
        pa.field(name, column.type, nullable=False)
        for name, column in zip(labels, columns, strict=True)
    ]
    tensors = [(PHI_E, "predicted extracellular potential, Eq. 1", forecast.phi_e)]
    if forecast.phi_e_std is not None:
        meaning = "standard deviation over the members of the ensemble, not calibrated"
        tensors.append((PHI_E_STD, meaning, forecast.phi_e_std))
    for name, meaning, ecgs in tensors:
        column = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(ecgs))
        metadata = {"unit": UNIT, "meaning": meaning}
        fields.append(pa.field(name, column.type, nullable=False, metadata=metadata))
        columns.append(column)
    return pa.table(columns, schema=pa.schema(fields, metadata=_provenance(members)))


def write_predictions(path: Path, tables: Iterable[pa.Table]) -> PredictionRun:
    """Write at least one table of predictions, one after another, into one Parquet file.

    The number of cases, the throughput and the provenance are written beside it into a JSON file
    whose name ends in .metrics.json.

    Raises:
        ResultError: the file exists or cannot be written.
    """
    require_new(path)
    cases, started = 0, time.monotonic()
    rest = iter(tables)
    first = next(rest)

    def write(staged: Path) -> None:
        nonlocal cases
        with pq.ParquetWriter(staged, first.schema, compression="zstd") as writer:
            for table in chain([first], rest):
                writer.write_table(table)
                cases += table.num_rows

    try:
        store = Store.at(path.parent)
        store.publish_with(path.name, write)
        run = PredictionRun(cases=cases, seconds=time.monotonic() - started)
        figures = {
            "cases": cases,
            "seconds": round(run.seconds, 2),
            "cases_per_second": round(run.cases_per_second, 2),
        }
        provenance = {key.decode(): text.decode() for key, text in first.schema.metadata.items()}
        store.publish_json(f"{path.stem}.metrics.json", figures | provenance)
    except OSError as error:
        raise ResultError(
            f"{path} cannot be written: {error.strerror or error}; choose another"
        ) from error
    with contextlib.suppress(OSError):  # remove the empty staging folder from the user's folder
        (path.parent / STAGING).rmdir()
    return run


def require_new(path: Path) -> None:
    """Raise `ResultError` if a file exists or its name does not end in .parquet."""
    if path.suffix != ".parquet":
        raise ResultError(f"{path}: ECGs are written as Parquet; give a name that ends in .parquet")
    if path.exists():
        raise ResultError(f"{path} exists: it is not overwritten; choose another name or delete it")


def _provenance(members: Sequence[TrainedSurrogate]) -> dict[str, str]:
    """Return the origin of predictions; commas separate the values of several members."""
    signatures = [member.signature for member in members]
    return {
        "fwdecg.training_hash": ",".join(signature.training_hash for signature in signatures),
        "fwdecg.trained_on_library": ",".join(signature.library_hash for signature in signatures),
        "fwdecg.epoch": ",".join(str(member.epoch) for member in members),
        "fwdecg.weights_hash": ",".join(member.weights_hash for member in members),
        "fwdecg.frame_interval_ms": str(signatures[0].frame_interval_ms),
        "fwdecg.phi_e_unit": UNIT,
    }
