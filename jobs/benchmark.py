"""Benchmark the solver: its speed, the machine's limits, and what accuracy costs."""

from pathlib import Path

from fwdecg.command import job_parser, load_experiment, run_job
from fwdecg.errors import ConfigError
from fwdecg.studies.solver_benchmark import REPORT, benchmark_solver

PRESET = Path(__file__).with_name("paper.toml")


def main() -> None:
    """Run a benchmark and print its report."""
    parser = job_parser(str(__doc__), subjects=["solver"], default_preset=PRESET)
    parser.add_argument(
        "--turns", type=int, default=5, help="how often what is compared is timed (default: 5)"
    )
    parser.add_argument(
        "--cases",
        type=int,
        default=2,
        metavar="N",
        help="cases of each condition on which accuracy is measured (default: 2); 0: none",
    )
    parser.add_argument(
        "--finitewave", metavar="PYTHON", help="a Python that has finitewave, to be timed beside"
    )
    arguments = parser.parse_args()
    if arguments.turns < 1 or arguments.cases < 0:
        raise ConfigError(
            f"--turns {arguments.turns} --cases {arguments.cases}: must be at least 1 and 0"
        )
    experiment = load_experiment(arguments)
    folder = experiment.results_folder / "benchmark" / arguments.subject
    benchmark_solver(
        experiment.library,
        folder,
        turns=arguments.turns,
        cases_per_condition=arguments.cases,
        peer_python=arguments.finitewave,
    )
    print((folder / REPORT).read_text(encoding="utf-8"))
    print(f"  {folder}")


if __name__ == "__main__":
    run_job(main, then="the report has what was measured; the same command starts over")
