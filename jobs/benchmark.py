"""Benchmark the solver, the surrogate, libraries, searches, and how a job starts.

solver      its speed beside the machine's limits, and what accuracy costs
storage     compressions of the preset's built library, and the speed of its readers
overhead    building the preset's library, in turns with a bare loop over its cases
surrogate   training and prediction beside a plain loop over the frames
prices      the ECG of the built library's cases by simulation, by Eq. 1 and by the network
scheduling  building a library of --cases sleeps on --slots pretended processors
search      the preset's finished search replayed --replays times, with ASHA and without
start       what a job loads and waits for before it works
"""

import argparse
import os
from pathlib import Path

from fwdecg.errors import ConfigError
from fwdecg.experiment.command_line import (
    MIN_CPUS,
    connect_to_ray,
    job_parser,
    load_experiment,
    run_job,
)
from fwdecg.experiment.experiment import Experiment
from fwdecg.runtime.storage import REPORT_FILE

PRESET = Path(__file__).with_name("paper.toml")
CASES = {"solver": 2, "scheduling": 10_000}


def main() -> None:
    """Run a benchmark and print its report."""
    arguments = _arguments()
    experiment = load_experiment(arguments)
    folder = experiment.results_folder / "benchmark" / arguments.subject
    BENCHMARKS[arguments.subject](experiment, folder, arguments)
    print((folder / REPORT_FILE).read_text(encoding="utf-8"))
    print(f"  {folder}")


def _solver(experiment: Experiment, folder: Path, arguments: argparse.Namespace) -> None:
    from fwdecg.benchmarks.solver_benchmark import benchmark_solver

    benchmark_solver(
        experiment.library,
        folder,
        turns=arguments.turns,
        cases_per_condition=CASES["solver"] if arguments.cases is None else arguments.cases,
        peer_python=arguments.finitewave,
    )


def _overhead(experiment: Experiment, folder: Path, arguments: argparse.Namespace) -> None:
    from fwdecg.benchmarks.library_benchmark import benchmark_overhead

    _require_own_cluster()
    processes = max(os.cpu_count() or 1, MIN_CPUS)
    connect_to_ray(processes)
    benchmark_overhead(experiment.library, folder, turns=arguments.turns, processes=processes)


def _storage(experiment: Experiment, folder: Path, arguments: argparse.Namespace) -> None:
    from fwdecg.benchmarks.storage_benchmark import benchmark_storage
    from fwdecg.library.reader import open_library

    connect_to_ray()
    benchmark_storage(
        open_library(experiment.library_store, experiment.library), folder, turns=arguments.turns
    )


def _surrogate(experiment: Experiment, folder: Path, arguments: argparse.Namespace) -> None:
    from fwdecg.benchmarks.surrogate_benchmark import benchmark_surrogate
    from fwdecg.benchmarks.surrogate_speed import Work

    recording = experiment.library.recording
    work = Work(
        model=experiment.model,
        training=experiment.training,
        frames=recording.frames,
        pixels=recording.map_pixels,
        electrodes=len(experiment.library.electrodes_mm),
    )
    benchmark_surrogate(work, folder, turns=arguments.turns)


def _prices(experiment: Experiment, folder: Path, arguments: argparse.Namespace) -> None:
    from fwdecg.benchmarks.price_benchmark import benchmark_prices
    from fwdecg.library.reader import open_library

    library = open_library(experiment.library_store, experiment.library)
    benchmark_prices(library, experiment.model, folder, turns=arguments.turns)


def _scheduling(experiment: Experiment, folder: Path, arguments: argparse.Namespace) -> None:
    from fwdecg.benchmarks.library_benchmark import benchmark_scheduling

    _require_own_cluster()
    connect_to_ray(arguments.slots)
    benchmark_scheduling(
        experiment.library,
        folder,
        cases=CASES["scheduling"] if arguments.cases is None else arguments.cases,
        slots=arguments.slots,
        sleep_seconds=arguments.sleep,
    )


def _search(experiment: Experiment, folder: Path, arguments: argparse.Namespace) -> None:
    from fwdecg.benchmarks.search_benchmark import benchmark_search
    from fwdecg.tuning.search import TABLE

    benchmark_search(
        experiment.tuning_folder / TABLE,
        experiment.tuning,
        folder,
        replays=arguments.replays,
        at_once=experiment.tuning.concurrency or 2,
    )


def _start(_: Experiment, folder: Path, arguments: argparse.Namespace) -> None:
    from fwdecg.benchmarks.start_benchmark import benchmark_start

    _require_own_cluster()
    benchmark_start(Path(__file__).parent, folder, turns=arguments.turns)


def _require_own_cluster() -> None:
    if os.environ.get("RAY_ADDRESS"):
        raise ConfigError(
            "RAY_ADDRESS is set: this benchmark starts a cluster of its own; unset it"
        )


BENCHMARKS = {
    "solver": _solver,
    "storage": _storage,
    "overhead": _overhead,
    "scheduling": _scheduling,
    "surrogate": _surrogate,
    "prices": _prices,
    "search": _search,
    "start": _start,
}


def _arguments() -> argparse.Namespace:
    parser = job_parser(str(__doc__), subjects=list(BENCHMARKS), default_preset=PRESET)
    parser.add_argument(
        "--turns", type=int, default=5, help="how often what is compared is timed (default: 5)"
    )
    parser.add_argument(
        "--cases",
        type=int,
        metavar="N",
        help="solver: cases of each condition on which accuracy is measured, 0 for none "
        f"(default: {CASES['solver']}); scheduling: cases in all (default: {CASES['scheduling']})",
    )
    parser.add_argument(
        "--finitewave", metavar="PYTHON", help="a Python that has finitewave, to be timed beside"
    )
    parser.add_argument(
        "--slots", type=int, default=32, help="cases that sleep at once (default: 32)"
    )
    parser.add_argument(
        "--sleep", type=float, default=2.0, metavar="S", help="seconds of each (default: 2)"
    )
    parser.add_argument(
        "--replays", type=int, default=1000, help="orders of a search's trials (default: 1000)"
    )
    arguments = parser.parse_args()
    least = 0 if arguments.subject == "solver" else 1
    for name in ("turns", "replays"):
        if getattr(arguments, name) < 1:
            raise ConfigError(f"--{name} {getattr(arguments, name)}: must be at least 1")
    if arguments.cases is not None and arguments.cases < least:
        raise ConfigError(f"--cases {arguments.cases}: must be at least {least}")
    if arguments.slots < MIN_CPUS or not arguments.sleep >= 0:
        raise ConfigError(
            f"--slots {arguments.slots} --sleep {arguments.sleep}: must be at least "
            f"{MIN_CPUS} and 0"
        )
    return arguments


if __name__ == "__main__":
    run_job(main, on_interrupt="the report has what was measured; the same command starts over")
