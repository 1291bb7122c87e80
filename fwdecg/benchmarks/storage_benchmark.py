"""The benchmark of a built library's storage: size and speed of compressions, speed of readers."""

import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fwdecg.benchmarks.turns import in_turns
from fwdecg.cases.splits import TRAIN
from fwdecg.library.dataset import shuffled_batches, split_dataset
from fwdecg.library.part import CASES_PER_ROW_GROUP
from fwdecg.library.reader import Library
from fwdecg.library.schema import CASE_ID, PHI_E, U
from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store

COLUMNS = (CASE_ID, U, PHI_E)
COMPRESSED_CASES = 128
BATCH_CASES, BUFFER_CASES = 8, 64
SPLIT_BYTES = {"column_encoding": {f"{U}.list.element": "BYTE_STREAM_SPLIT"}}
COMPRESSIONS: dict[str, dict[str, Any]] = {
    "none": {"compression": "none"},
    "snappy": {"compression": "snappy"},
    "lz4": {"compression": "lz4"},
    "zstd 1": {"compression": "zstd", "compression_level": 1},
    "zstd 3": {"compression": "zstd", "compression_level": 3},
    "zstd 9": {"compression": "zstd", "compression_level": 9},
    "zstd 1, bytes split": {"compression": "zstd", "compression_level": 1} | SPLIT_BYTES,
}


def benchmark_storage(library: Library, folder: Path, *, turns: int) -> None:
    """Write and read a library's cases in turns, and leave `report.txt` and `metrics.json`.

    Args:
        library: a finished one.
        folder: where the result goes.
        turns: how often what is compared is timed.
    """
    cases = library.dataset().head(COMPRESSED_CASES)
    maps_mb = cases[U].nbytes / 1e6
    compressions = in_turns(
        {name: partial(_written_and_read, cases, kind) for name, kind in COMPRESSIONS.items()},
        turns,
    )
    readers = in_turns(
        {
            "pyarrow": lambda: _seconds(library.batches(TRAIN, COLUMNS)),
            "Ray Data": lambda: _seconds(_batches(library, None)),
            "Ray Data, shuffled": lambda: _seconds(_batches(library, 0)),
        },
        turns,
    )
    train = library.count(TRAIN)
    train_mb = maps_mb * train / cases.num_rows
    found: dict[str, Any] = {
        "cases_compressed": cases.num_rows,
        "compressions": {
            name: {
                "share_of_maps": size / 1e6 / maps_mb,
                "write_mb_per_s": maps_mb / write,
                "read_mb_per_s": maps_mb / read,
            }
            for name, rows in compressions.items()
            for size, write, read in [map(median, zip(*rows, strict=True))]
        },
        "readers": {
            name: {"cases_per_s": train / median(seconds), "mb_per_s": train_mb / median(seconds)}
            for name, seconds in readers.items()
        },
    }
    store = Store.at(folder)
    store.publish_json(METRICS_FILE, found)
    store.publish(REPORT_FILE, _report(found))


def _written_and_read(cases: pa.Table, kind: dict[str, Any]) -> tuple[float, float, float]:
    """Bytes, processor time of writing, and of reading the maps again on one thread."""
    started = time.process_time()
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, cases.schema, use_dictionary=False, **kind) as writer:
        for first in range(0, cases.num_rows, CASES_PER_ROW_GROUP):
            writer.write_table(cases.slice(first, CASES_PER_ROW_GROUP))
    content = sink.getvalue()
    written = time.process_time()
    pq.read_table(pa.BufferReader(content), columns=[U], use_threads=False)
    return float(content.size), written - started, time.process_time() - written


def _batches(library: Library, seed: int | None) -> Iterable[Mapping[str, np.ndarray]]:
    cases = split_dataset(library, TRAIN, COLUMNS, seed=seed)
    if seed is None:
        return cases.iter_batches(batch_size=BATCH_CASES, batch_format="numpy")
    return shuffled_batches(cases, batch_size=BATCH_CASES, buffer_cases=BUFFER_CASES, seed=seed)


def _seconds(blocks: Iterable[object]) -> float:
    started = time.perf_counter()
    for _ in blocks:
        pass
    return time.perf_counter() - started


def _report(found: dict[str, Any]) -> str:
    lines = [f"compression of {found['cases_compressed']} cases, one thread"]
    lines.append("                        of the maps' size   write MB/s   read MB/s")
    lines += [
        f"  {name:22s}{row['share_of_maps']:17.3f}{row['write_mb_per_s']:13.0f}"
        f"{row['read_mb_per_s']:12.0f}"
        for name, row in found["compressions"].items()
    ]
    lines.append("reading the training split, all processors")
    lines += [
        f"  {name:22s}{row['cases_per_s']:10.0f} cases/s{row['mb_per_s']:8.0f} MB/s of maps"
        for name, row in found["readers"].items()
    ]
    return "\n".join(lines) + "\n"
