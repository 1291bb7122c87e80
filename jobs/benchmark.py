"""Benchmark the solver, the library build, the surrogate, ECG cost, or early stopping.

solver      speed relative to the machine's limits, and CPU time against accuracy
overhead    building the preset's library, compared with a bare loop over its cases
scheduling  building a library of --cases cases that only sleep, on --slots nominal CPUs
surrogate   cases trained and predicted per second on 1 and 2 threads
prices      time per ECG of the built library's cases by simulation, by Eq. 1 and by the network
search      the preset's finished search replayed --replays times, with and without ASHA
"""

import argparse
import os
from pathlib import Path

from fwdecg.errors import ConfigError
from fwdecg.experiment import command_line
from fwdecg.experiment.command_line import MIN_CPUS
from fwdecg.experiment.experiment import Experiment

PRESET = Path(__file__).with_name("paper.toml")
DEFAULT_CASES = {"solver": 2, "scheduling": 10_000}


def main() -> None:
    """Run a benchmark and print its report."""
    arguments = _arguments()
    experiment = command_line.load_experiment(arguments)
    folder = experiment.folder("results") / "benchmark" / arguments.subject
    BENCHMARKS[arguments.subject](experiment, folder, arguments)
    command_line.print_report(folder)
    print(f"  {folder}")


def _solver(experiment: Experiment, folder: Path, arguments: argparse.Namespace) -> None:
    from fwdecg.benchmarks.solver_benchmark import benchmark_solver

    benchmark_solver(
        experiment.library,
        folder,
        rounds=arguments.turns,
        cases_per_condition=arguments.cases,
        finitewave_python=arguments.finitewave,
    )


def _overhead(experiment: Experiment, folder: Path, arguments: argparse.Namespace) -> None:
    from fwdecg.benchmarks.library_benchmark import benchmark_overhead

    processes = max(os.cpu_count() or 1, MIN_CPUS)
    _start_cluster(processes)
    benchmark_overhead(experiment.library, folder, rounds=arguments.turns, processes=processes)


def _surrogate(experiment: Experiment, folder: Path, arguments: argparse.Namespace) -> None:
    from fwdecg.benchmarks.surrogate_benchmark import benchmark_surrogate

    benchmark_surrogate(
        experiment.model,
        experiment.training,
        experiment.library.recording,
        folder,
        rounds=arguments.turns,
    )


def _prices(experiment: Experiment, folder: Path, arguments: argparse.Namespace) -> None:
    from fwdecg.benchmarks.price_benchmark import benchmark_prices
    from fwdecg.library.reader import open_library

    library = open_library(experiment.library_store, experiment.library)
    benchmark_prices(library, experiment.model, folder, rounds=arguments.turns)


def _scheduling(experiment: Experiment, folder: Path, arguments: argparse.Namespace) -> None:
    from fwdecg.benchmarks.library_benchmark import benchmark_scheduling

    _start_cluster(arguments.slots)
    benchmark_scheduling(
        experiment.library,
        folder,
        cases=arguments.cases,
        slots=arguments.slots,
        sleep_seconds=arguments.sleep,
    )


def _search(experiment: Experiment, folder: Path, arguments: argparse.Namespace) -> None:
    from fwdecg.benchmarks.search_benchmark import benchmark_search
    from fwdecg.tuning.search import TABLE

    benchmark_search(
        experiment.folder("tuning") / TABLE,
        experiment.tuning,
        folder,
        replays=arguments.replays,
        concurrency=experiment.tuning.concurrency or 2,
    )


def _start_cluster(num_cpus: int) -> None:
    if os.environ.get("RAY_ADDRESS"):
        raise ConfigError("RAY_ADDRESS is set: this benchmark starts its own cluster; unset it")
    command_line.connect_to_ray(num_cpus)


BENCHMARKS = {
    "solver": _solver,
    "overhead": _overhead,
    "scheduling": _scheduling,
    "surrogate": _surrogate,
    "prices": _prices,
    "search": _search,
}


def _arguments() -> argparse.Namespace:
    parser = command_line.job_parser(str(__doc__), subjects=list(BENCHMARKS), default_preset=PRESET)
    parser.add_argument(
        "--turns", type=int, default=5, help="rounds of interleaved measurements (default: 5)"
    )
    parser.add_argument(
        "--cases",
        type=int,
        metavar="N",
        help="solver: cases per condition on which accuracy is measured, 0 for none "
        f"(default: {DEFAULT_CASES['solver']}); scheduling: total number of cases "
        f"(default: {DEFAULT_CASES['scheduling']})",
    )
    parser.add_argument(
        "--finitewave", metavar="PYTHON", help="Python with finitewave, which is timed as well"
    )
    parser.add_argument(
        "--slots", type=int, default=32, help="cases that sleep concurrently (default: 32)"
    )
    parser.add_argument(
        "--sleep", type=float, default=2.0, metavar="S", help="seconds per sleep (default: 2)"
    )
    parser.add_argument(
        "--replays", type=int, default=1000, help="random orders of the trials (default: 1000)"
    )
    arguments = parser.parse_args()
    if arguments.cases is None:
        arguments.cases = DEFAULT_CASES.get(arguments.subject, 1)
    minima = {"turns": 1, "replays": 1, "slots": MIN_CPUS, "sleep": 0}
    minima["cases"] = 0 if arguments.subject == "solver" else 1
    for name, minimum in minima.items():
        if not getattr(arguments, name) >= minimum:
            raise ConfigError(f"--{name} {getattr(arguments, name)}: must be at least {minimum}")
    return arguments


if __name__ == "__main__":
    command_line.run_job(
        main, on_interrupt="the report has the results so far; the same command starts over"
    )
