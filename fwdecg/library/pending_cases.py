"""One case simulated by a worker: kept for its part in a file of its own, or quarantined.

So a build that is killed loses the cases in flight and no more, and parts can be large.
"""

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from fwdecg.cases.draw import Case, CaseSpec, draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.precompile import compile_once_per_node
from fwdecg.cases.simulation import CaseRecord, simulate_case
from fwdecg.errors import LibraryError
from fwdecg.library.paths import pending_file, quarantine_file
from fwdecg.library.schema import cases_table
from fwdecg.runtime.storage import Store, retry_io

logger = logging.getLogger(__name__)

Simulate = Callable[[Case, LibraryConfig], CaseRecord]


def simulate_pending_case(
    config: LibraryConfig, store: Store, case_id: int, simulate: Simulate = simulate_case
) -> bool:
    """Simulate a case and keep it for its part; quarantine it if it fails.

    Args:
        config: of the library.
        store: where the library is.
        case_id: of the case.
        simulate: what makes the record of a drawn case.

    Returns:
        Whether it was kept.

    Raises:
        OSError: the store cannot be written.
        MemoryError: the machine's memory does not suffice.
    """
    compile_once_per_node(config.solver)
    spec = None
    try:
        case = draw_case(config, case_id)
        spec = case.spec
        record = simulate(case, config)
    except (MemoryError, OSError):  # the machine's fault, not the case's
        raise
    except Exception as error:  # whatever is wrong with one case must not stop the others
        quarantine(store, case_id, error, spec)
        return False
    content = _packed(cases_table([record], config))
    retry_io(lambda: store.publish(pending_file(case_id), content))
    return True


def quarantine(store: Store, case_id: int, error: Exception, spec: CaseSpec | None = None) -> None:
    """Leave a record of a case that failed."""
    reason = f"{type(error).__name__}: {error}"
    logger.warning("case %d is quarantined: %s", case_id, reason)
    content = {
        "case_id": case_id,
        "spec": spec.as_dict() if spec else None,
        "error": reason,
        "traceback": traceback.format_exception(error),
    }
    retry_io(lambda: store.publish_json(quarantine_file(case_id), content))


def pending_tables(store: Store, case_ids: Sequence[int], at_once: int) -> Iterator[pa.Table]:
    """The rows of spooled cases, in this order, in tables of `at_once`, the last perhaps shorter.

    Raises:
        LibraryError: a file is damaged.
    """
    for first in range(0, len(case_ids), at_once):
        files = [pending_file(case_id) for case_id in case_ids[first : first + at_once]]
        # One contiguous table: how it was read must not show in the bytes that are written.
        yield pa.concat_tables(_unpacked(store, file) for file in files).combine_chunks()


def _packed(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _unpacked(store: Store, file: str) -> pa.Table:
    content = retry_io(lambda: store.read(file))
    try:
        table = pa.ipc.open_stream(content).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise LibraryError(
            f"{store.label(file)} is damaged ({error}); delete it and build again"
        ) from error
    if table.num_rows != 1:
        raise LibraryError(f"{store.label(file)} is cut short; delete it and build again")
    return table
