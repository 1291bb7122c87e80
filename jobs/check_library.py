"""Verify a library from an untrusted source: files, values, draws, splits, statistics, simulations.

Every fault is printed on one line. Exit code 0: no faults; 1: faults; 2: the path is not a library.
The job writes no files.
"""

import secrets
import sys

from fwdecg.cases.conditions import CONDITIONS
from fwdecg.experiment.command_line import FAILED, Parser, run_job


def main() -> None:
    """Check a library and print its faults."""
    parser = Parser(str(__doc__))
    parser.add_argument("library", metavar="LIBRARY", help="folder or URI of a library")
    parser.add_argument(
        "--sample",
        type=int,
        default=len(CONDITIONS),
        metavar="N",
        help="number of cases to simulate again and compare, taken from all conditions in turn "
        f"(default: {len(CONDITIONS)}); 0: none",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=secrets.randbits(31),
        metavar="S",
        help="seed of the sample (default: a new one each time, so that the sample is "
        "unpredictable)",
    )
    arguments = parser.parse_args()

    from fwdecg.library.check.verify import check_library

    report = check_library(arguments.library, sample=arguments.sample, seed=arguments.seed)
    print(report.text)
    print(f"{len(report.faults) or 'no'} faults in")
    print(f"  {report.store.label()}")
    if report.faults:
        sys.exit(FAILED)


if __name__ == "__main__":
    run_job(main, on_interrupt="nothing was written")
