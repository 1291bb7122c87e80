"""The benchmark of ECG cost: seconds per case by simulation, by Eq. 1 and by the network."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fwdecg.benchmarks.surrogate_benchmark import untrained_surrogate
from fwdecg.benchmarks.timing import median_seconds, publish
from fwdecg.cases.conditions import CONDITIONS
from fwdecg.cases.draw import draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.simulation import simulate_case
from fwdecg.cases.splits import TEST
from fwdecg.evaluation.operators import ExactOperator, ReadOffOperator
from fwdecg.library.labelled_cases import LabelledCases, read_labelled_cases
from fwdecg.library.reader import Library
from fwdecg.library.schema import CASE_ID, CONDITION
from fwdecg.model import SurrogateConfig
from fwdecg.training.trained_surrogate import predict_maps

BATCH_SIZE = 8
SIMULATION = "simulation, its ECG included"
EXACT, READ_OFF = "exact operator on its maps", "read-off operator"
ALONE, BATCHED = "network, a case at a time", f"network, batches of {BATCH_SIZE}"


def benchmark_prices(
    library: Library, model: SurrogateConfig, folder: Path, *, rounds: int
) -> None:
    """Time each method on the same test cases.

    Everything runs on one core, except the network if there is a GPU. The network is untrained.
    The call limits PyTorch to one thread for the rest of the process.

    Args:
        library: finished library with test cases of each condition.
        model: configuration of the network.
        folder: result folder, in which `report.txt` and `metrics.json` are written.
        rounds: number of interleaved rounds; a warm-up round before them does not count.

    Raises:
        LibraryError: the library has no test case, or a part cannot be read.
    """
    torch.set_num_threads(1)
    config = library.config
    cases = read_labelled_cases(library, _sample(library))
    network = untrained_surrogate(model, config.recording.electrode_count)
    size_mm = config.tissue.size_mm
    spacing_mm = size_mm / config.recording.map_pixels
    read_off = ReadOffOperator(
        map_spacing_mm=spacing_mm,
        electrodes_mm=config.recording.electrodes(size_mm),
        diffusivity_per_square_speed=1.0,
    )
    methods: dict[str, Callable[[], Any]] = {
        SIMULATION: partial(_simulate, config, cases),
        EXACT: partial(ExactOperator(map_spacing_mm=spacing_mm).predict, cases),
        READ_OFF: partial(read_off.predict, cases),
        ALONE: partial(predict_maps, network, cases.u, 1),
        BATCHED: partial(predict_maps, network, cases.u, BATCH_SIZE),
    }
    seconds = {name: each / len(cases) for name, each in median_seconds(methods, rounds).items()}
    device = str(network.device)
    report = [
        f"Milliseconds per case, mean of {len(cases)} test cases, one core; network on {device}",
        *(f"  {name:30s}{1e3 * each:10.2f}" for name, each in seconds.items()),
    ]
    metrics = {"cases": len(cases), "network_on": device, "seconds_per_case": seconds}
    publish(folder, metrics, report)


def _sample(library: Library) -> list[int]:
    """Return the ids of the first two test cases of each condition, or fewer if there are fewer."""
    table = library.table(TEST, [CASE_ID, CONDITION])
    ids, names = table[CASE_ID].to_numpy(), np.array(table[CONDITION].to_pylist())
    count = BATCH_SIZE // len(CONDITIONS)
    return [int(i) for condition in CONDITIONS for i in ids[names == condition.name][:count]]


def _simulate(config: LibraryConfig, cases: LabelledCases) -> None:
    for case_id in cases.case_id:
        simulate_case(draw_case(config, int(case_id)), config)
