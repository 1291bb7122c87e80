"""Predicted ECGs as one Parquet file, of a library's cases or of a user's own maps."""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Float32, Int64

from fwdecg.errors import ResultError
from fwdecg.evaluation.cases import stream_cases
from fwdecg.evaluation.predict import predict_maps, require_fit, weights_hash
from fwdecg.library.reader import Library
from fwdecg.library.schema import CASE_ID, CONDITION, PHI_E, SPLIT
from fwdecg.library.splits import ALL
from fwdecg.progress import Progress
from fwdecg.storage import STAGING, Store
from fwdecg.training.checkpoint import TrainedSurrogate

logger = logging.getLogger(__name__)

UNIT = "mm/ms"


def predict_library(
    library: Library, trained: TrainedSurrogate, path: Path, *, batch_size: int
) -> int:
    """Predict every case of a library into one file; the number of cases.

    Args:
        library: whose maps are read a few at a time.
        trained: the surrogate.
        path: of the Parquet file; rows by case id with condition and split.
        batch_size: cases predicted at once.

    Raises:
        CheckpointError: the surrogate does not fit the library.
        ResultError: the file exists already, or cannot be written.
    """
    require_fit(trained.signature, library.config)
    surrogate, progress = trained.build(), Progress(logger, "cases predicted", library.count(ALL))

    def tables() -> Iterator[pa.Table]:
        for cases in stream_cases(library):
            phi_e = predict_maps(surrogate, cases.u, batch_size)
            labels = {CONDITION: cases.condition, SPLIT: cases.split}
            yield predictions_table(cases.case_id, phi_e, trained=trained, labels=labels)
            progress.advance(len(cases))

    return write_predictions(path, tables())


def predict_own_maps(
    u: Float[np.ndarray, "case frame row col"],
    trained: TrainedSurrogate,
    path: Path,
    *,
    batch_size: int,
) -> int:
    """Predict a user's maps into one file, their cases numbered from 0; the number of cases.

    Raises:
        ResultError: the file exists already, or cannot be written.
    """
    phi_e = predict_maps(trained.build(), u, batch_size)
    return write_predictions(path, [predictions_table(np.arange(len(u)), phi_e, trained=trained)])


def predictions_table(
    case_id: Int64[np.ndarray, " case"],
    phi_e: Float32[np.ndarray, "case electrode frame"],
    *,
    trained: TrainedSurrogate,
    labels: Mapping[str, Sequence[str]] | None = None,
) -> pa.Table:
    """One row per case: `case_id`, labels if any, and the tensor `phi_e` (electrode, frame).

    Args:
        case_id: numbers of the cases.
        phi_e: predicted ECGs in mm/ms.
        trained: the surrogate, whose hashes go into the schema's metadata.
        labels: further columns of text.
    """
    texts = dict(labels or {})
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(phi_e))
    meaning = {"unit": UNIT, "meaning": "predicted extracellular potential, Eq. 1"}
    fields = [
        pa.field(CASE_ID, pa.int64(), nullable=False),
        *(pa.field(name, pa.string(), nullable=False) for name in texts),
        pa.field(PHI_E, tensors.type, nullable=False, metadata=meaning),
    ]
    columns = [pa.array(case_id), *(pa.array(list(text)) for text in texts.values()), tensors]
    return pa.table(columns, schema=pa.schema(fields, metadata=_provenance(trained)))


def write_predictions(path: Path, tables: Iterable[pa.Table]) -> int:
    """Write tables of predictions, at least one, as one Parquet file; the number of rows.

    Their number and origin stand beside it in a JSON file, the name ending in .metrics.json.

    Raises:
        ResultError: the file exists already, or cannot be written.
    """
    require_new(path)
    written = 0
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
        store.publish_by(path.name, write)
        origin = {key.decode(): text.decode() for key, text in first.schema.metadata.items()}
        store.publish_json(f"{path.stem}.metrics.json", {"cases": written} | origin)
    except OSError as error:
        raise ResultError(f"{path} cannot be written: {error.strerror}; choose another") from error
    with contextlib.suppress(OSError):  # the folder is the user's: leave no empty one behind
        (path.parent / STAGING).rmdir()
    return written


def require_new(path: Path) -> None:
    """Refuse a file that exists.

    Raises:
        ResultError: it does.
    """
    if path.exists():
        raise ResultError(f"{path} exists: it is not overwritten; choose another name or delete it")


def _provenance(trained: TrainedSurrogate) -> dict[str, str]:
    return {
        "fwdecg.training_hash": trained.signature.training_hash,
        "fwdecg.trained_on_library": trained.signature.library_hash,
        "fwdecg.epoch": str(trained.epoch),
        "fwdecg.weights_hash": weights_hash(trained),
        "fwdecg.frame_interval_ms": str(trained.signature.frame_interval_ms),
        "fwdecg.phi_e_unit": UNIT,
    }
