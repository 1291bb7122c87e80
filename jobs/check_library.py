"""Verify a library before it is trusted: files, values, draws, splits, statistics, simulations.

Every fault is named in a line of its own. Exit code 0: none was found; 1: some were; 2: the path is
no library. Nothing is written.
"""

import argparse
import secrets
import sys

from fwdecg.cases.conditions import CONDITIONS
from fwdecg.experiment.command_line import FAILED, Parser, run_job


def main() -> None:
    """Check a library and print what is wrong with it."""
    arguments = _arguments()
    from fwdecg.library.check.verify import check_library

    report = check_library(arguments.library, sample=arguments.sample, seed=arguments.seed)
    print(report.text)
    print(f"{len(report.faults) or 'no'} faults in")
    print(f"  {report.store.label()}")
    if report.faults:
        sys.exit(FAILED)


def _arguments() -> argparse.Namespace:
    parser = Parser(str(__doc__))
    parser.add_argument("library", metavar="LIBRARY", help="folder or URI of a library")
    parser.add_argument(
        "--sample",
        type=int,
        default=len(CONDITIONS),
        metavar="N",
        help="cases, of all conditions in turn, that are simulated again and compared "
        f"(default: {len(CONDITIONS)}); 0: none",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=secrets.randbits(31),
        metavar="S",
        help="which ones (default: others each time, so that nobody can know them before)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_job(main, on_interrupt="nothing was written")
