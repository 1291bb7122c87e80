"""One part of a library: its cases simulated, the unfit ones quarantined, the others published.

A part is described from its published file alone, whether this run wrote it or an earlier one did:
a build that resumes ends with the very manifest and statistics of one that was never interrupted.
"""

import hashlib
import logging
import traceback
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fwdecg.errors import LibraryError
from fwdecg.library.case import CaseRecord, simulate_case
from fwdecg.library.config import LibraryConfig
from fwdecg.library.layout import Part, quarantine_file
from fwdecg.library.sampling import CaseSpec, draw_case
from fwdecg.library.schema import CASE_ID, PHI_E, SPLIT, U, cases_table, tensor_column
from fwdecg.library.splits import TRAIN
from fwdecg.library.statistics import Moments, PartMoments
from fwdecg.storage import publish, publish_json

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PartRecord:
    """What the manifest keeps of a part.

    Attributes:
        part: the range of case ids.
        case_ids: the cases that its file holds; the others are quarantined.
        sha256: of the file; empty if every case is quarantined, so that there is none.
        size_bytes: of the file.
        moments: of its training cases.
        largest_cv_error: over its cases.
        active_at_end: number of cases still excited in the last frame.
        redraws: sheets thrown away because the stimulus was blocked.
        node_updates: cells times steps computed in all its simulations.
    """

    part: Part
    case_ids: tuple[int, ...]
    sha256: str
    size_bytes: int
    moments: PartMoments
    largest_cv_error: float
    active_at_end: int
    redraws: int
    node_updates: int

    @property
    def quarantined(self) -> tuple[int, ...]:
        """The cases that failed."""
        return tuple(sorted(set(self.part.case_ids) - set(self.case_ids)))


def build_part(config: LibraryConfig, root: Path, part: Part) -> PartRecord:
    """Simulate and publish a part unless that is done already; describe it.

    Raises:
        LibraryError: the part's file is damaged.
    """
    if not is_done(root, part):
        records = [_simulate_or_quarantine(config, root, case_id) for case_id in part.case_ids]
        usable = [record for record in records if record is not None]
        if usable:
            table = cases_table(usable, config.recording, config.tissue.size_mm)
            publish(root, part.file, lambda path: _write(table, path))
    return describe_part(config, root, part)


def is_done(root: Path, part: Part) -> bool:
    """True if a part's file is published, or each of its cases is quarantined."""
    if (root / part.file).exists():
        return True
    return all((root / quarantine_file(case_id)).exists() for case_id in part.case_ids)


def describe_part(config: LibraryConfig, root: Path, part: Part) -> PartRecord:
    """The record of a part that is done, read from its file.

    Raises:
        LibraryError: the file is damaged.
    """
    path = root / part.file
    if not path.exists():
        return _empty_record(config, part)
    content = path.read_bytes()
    try:
        table = pq.read_table(pa.BufferReader(content))
    except (OSError, pa.ArrowInvalid) as error:
        raise LibraryError(f"{path} is damaged ({error}); delete it and build again") from error
    training = table.filter(pc.field(SPLIT) == TRAIN)
    return PartRecord(
        part=part,
        case_ids=tuple(table[CASE_ID].to_pylist()),
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        moments=_moments(training, len(config.recording.electrodes_mm)),
        largest_cv_error=pc.max(table["cv_error_estimate"]).as_py(),
        active_at_end=pc.sum(pc.greater(table["active_fraction_at_end"], 0)).as_py(),
        redraws=pc.sum(table["redraws"]).as_py(),
        node_updates=pc.sum(table["node_updates"]).as_py(),
    )


def _simulate_or_quarantine(config: LibraryConfig, root: Path, case_id: int) -> CaseRecord | None:
    spec = None
    try:
        case = draw_case(config, case_id)
        spec = case.spec
        record = simulate_case(case, config)
    except (MemoryError, OSError):  # the machine's fault, not the case's: try again
        raise
    except Exception as error:  # whatever is wrong with one case must not stop the others
        _quarantine(root, case_id, spec, error)
        return None
    (root / quarantine_file(case_id)).unlink(missing_ok=True)
    return record


def _quarantine(root: Path, case_id: int, spec: CaseSpec | None, error: Exception) -> None:
    reason = f"{type(error).__name__}: {error}"
    logger.warning("case %d is quarantined: %s", case_id, reason)
    content = {
        "case_id": case_id,
        "spec": spec.as_dict() if spec else None,
        "error": reason,
        "traceback": traceback.format_exception(error),
    }
    publish_json(root, quarantine_file(case_id), content)


def _write(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd", use_dictionary=False, store_schema=True)


def _moments(training: pa.Table, electrodes: int) -> PartMoments:
    if training.num_rows == 0:
        return PartMoments(u=Moments(), phi_e=(Moments(),) * electrodes)
    return PartMoments.of(tensor_column(training, U), tensor_column(training, PHI_E))


def _empty_record(config: LibraryConfig, part: Part) -> PartRecord:
    none = pa.table({SPLIT: []})
    return PartRecord(
        part=part,
        case_ids=(),
        sha256="",
        size_bytes=0,
        moments=_moments(none, len(config.recording.electrodes_mm)),
        largest_cv_error=0.0,
        active_at_end=0,
        redraws=0,
        node_updates=0,
    )
