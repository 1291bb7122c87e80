"""The benchmark of prices: what a case's ECG costs by simulation, by Eq. 1 and by a network."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from fwdecg.benchmarks.surrogate_speed import untrained
from fwdecg.benchmarks.turns import in_turns
from fwdecg.cases.conditions import CONDITIONS
from fwdecg.cases.draw import draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.simulation import simulate_case
from fwdecg.cases.splits import TEST
from fwdecg.evaluation.operators import ExactOperator, ReadOffOperator
from fwdecg.library.labelled_cases import LabelledCases, read_cases
from fwdecg.library.reader import Library
from fwdecg.library.schema import CASE_ID, CONDITION
from fwdecg.model import Surrogate, SurrogateConfig
from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store
from fwdecg.training.inference import predict_maps

AT_ONCE = 8  # cases of a batch
SIMULATION = "simulation, its ECG included"
EXACT, READ_OFF = "exact operator on its maps", "read-off operator"
ALONE, BATCHED = "network, a case at a time", f"network, batches of {AT_ONCE}"


def benchmark_prices(library: Library, model: SurrogateConfig, folder: Path, *, turns: int) -> None:
    """Time each way to the ECGs of the same test cases, and leave `report.txt` and `metrics.json`.

    All on one core, but for the network where there is a GPU. Its weights are not trained.

    Args:
        library: a finished one, with test cases of each condition.
        model: of the network.
        folder: where the result goes.
        turns: how often each is timed, after one time that is not counted.

    Raises:
        LibraryError: the library has no test case, or a part cannot be read.
    """
    cases = read_cases(library, _chosen(library))
    network = untrained(model, library.config.recording.electrode_count)
    with _one_thread():
        found = in_turns(
            {
                name: partial(_seconds, way)
                for name, way in _ways(library.config, cases, network).items()
            },
            turns + 1,
        )
    prices = {name: median(seconds[1:]) / len(cases) for name, seconds in found.items()}
    _publish(Store.at(folder), prices, cases=len(cases), device=str(network.device))


def _chosen(library: Library) -> list[int]:
    """Two test cases of each condition, where there are so many."""
    table = library.table(TEST, [CASE_ID, CONDITION])
    ids, names = table[CASE_ID].to_numpy(), np.array(table[CONDITION].to_pylist())
    each = AT_ONCE // len(CONDITIONS)
    return [int(i) for known in CONDITIONS for i in ids[names == known.name][:each]]


def _ways(
    config: LibraryConfig, cases: LabelledCases, network: Surrogate
) -> dict[str, Callable[[], object]]:
    size_mm = config.tissue.size_mm
    spacing_mm = size_mm / config.recording.map_pixels
    read_off = ReadOffOperator(
        map_spacing_mm=spacing_mm,
        electrodes_mm=config.recording.electrodes(size_mm),
        diffusivity_per_square_speed=1.0,
    )
    return {
        SIMULATION: partial(_simulate, config, cases),
        EXACT: partial(ExactOperator(map_spacing_mm=spacing_mm).predict, cases),
        READ_OFF: partial(read_off.predict, cases),
        ALONE: partial(predict_maps, network, cases.u, 1),
        BATCHED: partial(predict_maps, network, cases.u, AT_ONCE),
    }


def _simulate(config: LibraryConfig, cases: LabelledCases) -> None:
    for case_id in cases.case_id:
        simulate_case(draw_case(config, int(case_id)), config)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seconds(way: Callable[[], object]) -> float:
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


def _publish(store: Store, prices: dict[str, float], *, cases: int, device: str) -> None:
    metrics: dict[str, Any] = {"cases": cases, "network_on": device, "seconds_per_case": prices}
    store.publish_json(METRICS_FILE, metrics)
    lines = [f"Milliseconds per case, mean of {cases} test cases, one core; network on {device}"]
    lines += [f"  {name:30s}{1e3 * price:10.2f}" for name, price in prices.items()]
    store.publish(REPORT_FILE, "\n".join(lines) + "\n")
