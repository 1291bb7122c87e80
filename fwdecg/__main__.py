"""`fwdecg JOB ...`, or `python -m fwdecg JOB ...`: the jobs, wherever fwdecg is installed."""

import argparse
import ast
import sys
from importlib.metadata import version
from pathlib import Path

from fwdecg.experiment.command_line import Parser
from fwdecg.experiment.presets import jobs_folder


def main() -> None:
    """Run the script of a job with the arguments after its name."""
    arguments = _parser().parse_args()
    sys.argv = [f"fwdecg {arguments.job}", *arguments.arguments]
    script = jobs_folder() / f"{arguments.job}.py"
    # Not by runpy, which would have the job's help and complaints name the script instead.
    names = {"__name__": "__main__", "__file__": str(script)}
    exec(compile(script.read_bytes(), script, "exec"), names)


def _parser() -> Parser:
    scripts = sorted(jobs_folder().glob("*.py"))
    presets = sorted(jobs_folder().glob("*.toml"))
    parser = Parser(
        "Simulate heart tissue with its ECG, train surrogates of the ECG, judge and use them.",
        epilog="\n  ".join(["jobs, each with a --help of its own:", *map(_line, scripts)])
        + "\n\n"
        + "\n  ".join([f"presets, in {jobs_folder()}:", *(preset.name for preset in presets)]),
    )
    parser.prog = "fwdecg"
    parser.add_argument("--version", action="version", version=f"fwdecg {version('fwdecg')}")
    names = [script.stem for script in scripts]
    parser.add_argument("job", metavar="JOB", choices=names, help="what to do, see below")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...", help="arguments of the job"
    )
    return parser


def _line(script: Path) -> str:
    purpose = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    return f"{script.stem:<15}{purpose.partition('.')[0]}"


if __name__ == "__main__":
    main()
