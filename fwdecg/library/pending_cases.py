"""Simulate one case on a worker and store it for its part, or quarantine it if it fails.

Each pending case has a file of its own. A killed build therefore loses only the cases in flight,
however large the parts are.
"""

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import pyarrow as pa

from fwdecg.cases.draw import Case, CaseSpec, draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.precompile import compile_once_per_node
from fwdecg.cases.simulation import CaseRecord, simulate_case
from fwdecg.errors import LibraryError
from fwdecg.library.paths import pending_file, quarantine_file
from fwdecg.library.schema import case_table
from fwdecg.runtime.storage import Store, retry_io

logger = logging.getLogger(__name__)

SimulateCase = Callable[[Case, LibraryConfig], CaseRecord]


def simulate_or_quarantine(
    config: LibraryConfig, store: Store, case_id: int, simulate: SimulateCase = simulate_case
) -> bool:
    """Simulate a case and store it as pending; quarantine it if it fails.

    Args:
        config: library configuration.
        store: location of the library.
        case_id: number of the case.
        simulate: function that simulates a drawn case.

    Returns:
        True if the case succeeded, False if it is quarantined.

    Raises:
        OSError: the store cannot be written.
        MemoryError: the machine is out of memory.
    """
    compile_once_per_node(config.solver)
    spec = None
    try:
        case = draw_case(config, case_id)
        spec = case.spec
        record = simulate(case, config)
    except (MemoryError, OSError):  # caused by the machine, not by the case
        raise
    except Exception as error:  # no error of one case may stop the others
        quarantine(store, case_id, error, spec)
        return False
    content = _serialise(case_table(record, config))
    retry_io(lambda: store.publish(pending_file(case_id), content))
    return True


def quarantine(store: Store, case_id: int, error: Exception, spec: CaseSpec | None = None) -> None:
    """Record that a case failed, and why.

    Args:
        store: location of the library.
        case_id: number of the case.
        error: exception that made the case fail.
        spec: drawn parameters; None if they are unknown.
    """
    reason = f"{type(error).__name__}: {error}"
    logger.warning("case %d is quarantined: %s", case_id, reason)
    content = {
        "case_id": case_id,
        "spec": asdict(spec) if spec else None,
        "error": reason,
        "traceback": traceback.format_exception(error),
    }
    retry_io(lambda: store.publish_json(quarantine_file(case_id), content))


def pending_tables(store: Store, case_ids: Sequence[int], rows: int) -> Iterator[pa.Table]:
    """Yield pending cases, in the given order, as tables of `rows` rows; the last may have fewer.

    Raises:
        LibraryError: a file is damaged.
    """
    for first in range(0, len(case_ids), rows):
        files = [pending_file(case_id) for case_id in case_ids[first : first + rows]]
        # Without combine_chunks, the bytes of the Parquet file would depend on the table's chunks.
        yield pa.concat_tables(_read(store, file) for file in files).combine_chunks()


def _serialise(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _read(store: Store, file: str) -> pa.Table:
    content = retry_io(lambda: store.read(file))
    try:
        table = pa.ipc.open_stream(content).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise LibraryError(
            f"{store.label(file)} is damaged ({error}); delete it and build again"
        ) from error
    if table.num_rows != 1:
        raise LibraryError(f"{store.label(file)} is truncated; delete it and build again")
    return table
