"""Predicted ECGs as one Parquet file, of a library's cases or of a user's own maps."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Int64

from fwdecg.cases.splits import ALL
from fwdecg.errors import ResultError
from fwdecg.evaluation.ensemble import Ensemble, Forecast
from fwdecg.library.labelled_cases import stream_labelled_cases
from fwdecg.library.reader import Library
from fwdecg.library.schema import CASE_ID, CONDITION, PHI_E, SPLIT
from fwdecg.runtime.progress import Progress
from fwdecg.runtime.storage import STAGING, Store
from fwdecg.training.trained_surrogate import TrainedSurrogate

logger = logging.getLogger(__name__)

UNIT = "mm/ms"
SPREAD = "phi_e_spread"


@dataclass(frozen=True, kw_only=True)
class CaseForecasts:
    """Some cases of a library with their forecasts."""

    case_id: Int64[np.ndarray, " case"]
    condition: Sequence[str]
    split: Sequence[str]
    forecast: Forecast


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a file of predictions holds, and how long it took."""

    cases: int
    seconds: float

    @property
    def rate(self) -> float:
        """Cases per second."""
        return self.cases / self.seconds


# Predicts all cases of a library by case id, some at a time, with a batch size.
Forecaster = Callable[[Library, Sequence[TrainedSurrogate], int], Iterator[CaseForecasts]]


def forecast_here(
    library: Library, members: Sequence[TrainedSurrogate], batch_size: int
) -> Iterator[CaseForecasts]:
    """The forecasts of a library's cases by case id, made in this process.

    Raises:
        LibraryError: a part cannot be read.
        CheckpointError: a predicted value is not finite.
    """
    ensemble = Ensemble.of(members, batch_size)
    for cases in stream_labelled_cases(library):
        yield CaseForecasts(
            case_id=cases.case_id,
            condition=cases.condition,
            split=cases.split,
            forecast=ensemble.predict(cases.u),
        )


def predict_library(
    library: Library,
    members: Sequence[TrainedSurrogate],
    path: Path,
    *,
    batch_size: int,
    forecaster: Forecaster = forecast_here,
) -> Written:
    """Predict every case of a library into one file.

    Args:
        library: whose maps are read a few at a time.
        members: the surrogate, or those of an ensemble.
        path: of the Parquet file; rows by case id with condition and split.
        batch_size: cases predicted at once.
        forecaster: who predicts.

    Raises:
        CheckpointError: a surrogate does not fit the library.
        ResultError: the file exists already, or cannot be written.
    """
    for member in members:
        member.signature.require_fit(library.config)
    progress = Progress(logger, "cases predicted", library.count(ALL))

    def tables() -> Iterator[pa.Table]:
        for cases in forecaster(library, members, batch_size):
            labels = {CONDITION: cases.condition, SPLIT: cases.split}
            yield predictions_table(cases.case_id, cases.forecast, members=members, labels=labels)
            progress.advance(len(cases.case_id))

    return write_predictions(path, tables())


def predict_own_maps(
    u: Float[np.ndarray, "case frame row col"],
    members: Sequence[TrainedSurrogate],
    path: Path,
    *,
    batch_size: int,
) -> Written:
    """Predict a user's maps into one file, their cases numbered from 0.

    Raises:
        ResultError: the file exists already, or cannot be written.
    """

    def tables() -> Iterator[pa.Table]:
        forecast = Ensemble.of(members, batch_size).predict(u)
        yield predictions_table(np.arange(len(u)), forecast, members=members)

    return write_predictions(path, tables())


def predictions_table(
    case_id: Int64[np.ndarray, " case"],
    forecast: Forecast,
    *,
    members: Sequence[TrainedSurrogate],
    labels: Mapping[str, Sequence[str]] | None = None,
) -> pa.Table:
    """One row per case: `case_id`, labels if any, and the tensor `phi_e` (electrode, frame).

    An ensemble's has the tensor `phi_e_spread` beside it.

    Args:
        case_id: numbers of the cases.
        forecast: of their ECGs.
        members: the surrogates, whose hashes go into the schema's metadata.
        labels: further columns of text.
    """
    texts = dict(labels or {})
    tensors = {PHI_E: _tensors(forecast.phi_e)}
    meanings = {PHI_E: "predicted extracellular potential, Eq. 1"}
    if forecast.spread is not None:
        tensors[SPREAD] = _tensors(forecast.spread)
        meanings[SPREAD] = "standard deviation over the members of the ensemble, not calibrated"
    fields = [
        pa.field(CASE_ID, pa.int64(), nullable=False),
        *(pa.field(name, pa.string(), nullable=False) for name in texts),
        *(
            pa.field(
                name,
                tensors[name].type,
                nullable=False,
                metadata={"unit": UNIT, "meaning": meaning},
            )
            for name, meaning in meanings.items()
        ),
    ]
    columns = [
        pa.array(case_id),
        *(pa.array(list(text)) for text in texts.values()),
        *tensors.values(),
    ]
    return pa.table(columns, schema=pa.schema(fields, metadata=_provenance(members)))


def _tensors(ecgs: Float[np.ndarray, "case electrode frame"]) -> pa.FixedShapeTensorArray:
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(ecgs))


def write_predictions(path: Path, tables: Iterable[pa.Table]) -> Written:
    """Write tables of predictions, at least one, as one Parquet file, as they come.

    Their number, rate and origin stand beside it in a JSON file, the name ending in .metrics.json.

    Raises:
        ResultError: the file exists already, or cannot be written.
    """
    require_new(path)
    written, started = 0, time.monotonic()
    rest = iter(tables)
    first = next(rest)

    def write(aside: Path) -> None:
        nonlocal written
        with pq.ParquetWriter(aside, first.schema, compression="zstd") as writer:
            for table in chain([first], rest):
                writer.write_table(table)
                written += table.num_rows

    try:
        store = Store.at(path.parent)
        store.publish_with(path.name, write)
        result = Written(cases=written, seconds=time.monotonic() - started)
        figures = {
            "cases": written,
            "seconds": round(result.seconds, 2),
            "cases_per_second": round(result.rate, 2),
        }
        origin = {key.decode(): text.decode() for key, text in first.schema.metadata.items()}
        store.publish_json(f"{path.stem}.metrics.json", figures | origin)
    except OSError as error:
        raise ResultError(
            f"{path} cannot be written: {error.strerror or error}; choose another"
        ) from error
    with contextlib.suppress(OSError):  # the folder is the user's: leave no empty one behind
        (path.parent / STAGING).rmdir()
    return result


def require_new(path: Path) -> None:
    """Refuse a file that exists, or whose name promises something else than Parquet.

    Raises:
        ResultError: it does.
    """
    if path.suffix != ".parquet":
        raise ResultError(f"{path}: ECGs are written as Parquet; give a name that ends in .parquet")
    if path.exists():
        raise ResultError(f"{path} exists: it is not overwritten; choose another name or delete it")


def _provenance(members: Sequence[TrainedSurrogate]) -> dict[str, str]:
    """Where predictions come from; what the members of an ensemble have each, by commas."""
    signatures = [member.signature for member in members]
    return {
        "fwdecg.training_hash": ",".join(signature.training_hash for signature in signatures),
        "fwdecg.trained_on_library": ",".join(signature.library_hash for signature in signatures),
        "fwdecg.epoch": ",".join(str(member.epoch) for member in members),
        "fwdecg.weights_hash": ",".join(member.weights_hash for member in members),
        "fwdecg.frame_interval_ms": str(signatures[0].frame_interval_ms),
        "fwdecg.phi_e_unit": UNIT,
    }
