import dataclasses
import os
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from fwdecg.__main__ import main
from fwdecg.experiment.experiment import Experiment

JOBS = Path(__file__).parents[2] / "jobs"
NAMES = sorted(path.stem for path in JOBS.glob("*.py"))
SLOW_TO_IMPORT = {
    "ray",
    "torch",
    "pandas",
    "scipy.ndimage",
    "matplotlib",
    "pyarrow.dataset",
    "fsspec",
}


def keys(kind, prefix=""):
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from keys(hints[field.name], f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


def test_help_has_every_key_with_default_and_meaning(run_script):
    ended = run_script("train", "--help")
    assert ended.code == 0
    lines = ended.out.splitlines()
    for key in keys(Experiment):
        (line,) = [line for line in lines if line.strip().startswith(f"{key} (")]
        assert "default" in line
        assert line.split("): ", 1)[1]


@pytest.mark.parametrize(
    ("job", "arguments"),
    [
        ("benchmark", ["{solver,", "PRESET.toml", "--set section.key=value", "--turns TURNS"]),
        ("check_library", ["LIBRARY", "--sample N", "--seed S"]),
        ("ensemble", ["PRESET.toml", "--checkpoints CHECKPOINT"]),
        ("evaluate", ["PRESET.toml", "--checkpoint PATH"]),
        ("export", ["CHECKPOINT", "--out FOLDER", "--onnx"]),
        ("predict", ["CHECKPOINT", "INPUT", "OUTPUT.parquet", "--batch-size N", "--here"]),
        ("reproduce", ["PRESET.toml", "--tune"]),
        ("show_library", ["LIBRARY", "--case ID", "--out FOLDER"]),
    ],
)
def test_help_has_the_arguments_of_the_job(job, arguments, run_script):
    ended = run_script(job, "--help")
    assert ended.code == 0
    lines = [line.strip() for line in ended.out.splitlines()]
    for argument in arguments:
        assert [line for line in lines if line.startswith(argument)]


def test_the_command_lists_every_job_and_preset(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["fwdecg", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    for job in NAMES:
        assert [line for line in lines if line.startswith(f"{job} ")]
    assert {preset.name for preset in JOBS.glob("*.toml")} <= set(lines)


@pytest.mark.parametrize("job", NAMES)
def test_the_command_runs_every_job(job, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["fwdecg", job, "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: fwdecg {job} [-h] ")


def imported(code, names):
    """Run code in a new process and return which of the named modules it imported."""
    code += f"\nimport sys; print('imported:', *{names} & sys.modules.keys())"
    environment = os.environ | {"PYTHONPATH": str(JOBS.parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines()[-1].removeprefix("imported:").split())


def test_the_help_of_all_jobs_imports_nothing_slow():
    scripts = [str(JOBS / f"{job}.py") for job in NAMES]
    code = f"""
import runpy, sys
sys.argv = ["job", "--help"]
for script in {scripts}:
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit:
        pass
"""
    assert imported(code, SLOW_TO_IMPORT) == set()


@pytest.mark.parametrize(
    ("modules", "unneeded"),
    [
        (
            "fwdecg.experiment.command_line, fwdecg.library.build",
            {"pandas", "torch", "matplotlib", "fsspec"},
        ),
        ("fwdecg.library.reader", {"pandas", "scipy.ndimage", "ray", "torch", "fsspec"}),
    ],
)
def test_a_stage_imports_only_what_it_needs(modules, unneeded):
    assert imported(f"import {modules}", unneeded) == set()


def test_the_package_itself_imports_nothing():
    code = "import sys; before = set(sys.modules); import fwdecg; print(*set(sys.modules) - before)"
    environment = os.environ | {"PYTHONPATH": str(JOBS.parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["fwdecg"]
