"""Command line `fwdecg JOB ...` or `python -m fwdecg JOB ...`: run a job of the package."""

import argparse
import ast
import sys
from pathlib import Path
from typing import NoReturn

import fwdecg
from fwdecg.experiment.command_line import Parser, run_job
from fwdecg.experiment.presets import jobs_folder


def main() -> NoReturn:
    """Run the script of the given job with the remaining arguments, and exit."""
    run_job(_run_script)


def _run_script() -> None:
    arguments = _parser().parse_args()
    sys.argv = [f"fwdecg {arguments.job}", *arguments.arguments]
    script = jobs_folder() / f"{arguments.job}.py"
    # `runpy` would replace the program name in help and error messages with the path of the script.
    module = {"__name__": "__main__", "__file__": str(script)}
    exec(compile(script.read_bytes(), script, "exec"), module)


def _parser() -> Parser:
    scripts = sorted(jobs_folder().glob("*.py"))
    presets = sorted(jobs_folder().glob("*.toml"))
    parser = Parser(
        "Simulate heart tissue and its ECG; train, evaluate and use surrogates of the ECG.",
        epilog="\n  ".join(["jobs (each has its own --help):", *map(_line, scripts)])
        + "\n\n"
        + "\n  ".join([f"presets, in {jobs_folder()}:", *(preset.name for preset in presets)]),
    )
    parser.prog = "fwdecg"
    parser.add_argument("--version", action="version", version=f"fwdecg {fwdecg.__version__}")
    names = [script.stem for script in scripts]
    parser.add_argument("job", metavar="JOB", choices=names, help="name of a job, see below")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...", help="arguments of the job"
    )
    return parser


def _line(script: Path) -> str:
    purpose = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    return f"{script.stem:<15}{purpose.partition('.')[0]}"


if __name__ == "__main__":
    main()
