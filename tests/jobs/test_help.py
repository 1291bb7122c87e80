import dataclasses
import os
import runpy
import subprocess
import sys
import typing
from dataclasses import replace
from pathlib import Path

import pytest

from fwdecg.__main__ import main
from fwdecg.cases.splits import SHIFTS, assign_case
from fwdecg.config import load
from fwdecg.experiment.experiment import Experiment

JOBS = Path(__file__).parents[2] / "jobs"
SLOW_TO_LOAD = {
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


@pytest.mark.parametrize(
    "job",
    ["build_library", "train", "evaluate", "reproduce", "ablate", "tune", "benchmark", "ensemble"],
)
def test_help_names_every_key_with_default_and_meaning(job, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [f"{job}.py", "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(JOBS / f"{job}.py"), run_name="__main__")
    assert end.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    for key in keys(Experiment):
        (line,) = [line for line in lines if line.strip().startswith(f"{key} (")]
        assert "default" in line
        assert line.split("): ", 1)[1]


@pytest.mark.parametrize(
    ("job", "arguments"),
    [
        ("predict", ["CHECKPOINT", "INPUT", "OUTPUT.parquet", "--batch-size N", "--here"]),
        ("export", ["CHECKPOINT", "--out FOLDER", "--onnx"]),
        ("show_library", ["LIBRARY", "--case ID", "--out FOLDER"]),
        ("check_library", ["LIBRARY", "--sample N", "--seed S"]),
    ],
)
def test_help_of_a_job_without_preset(job, arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [f"{job}.py", "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(JOBS / f"{job}.py"), run_name="__main__")
    assert end.value.code == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    for argument in arguments:
        assert [line for line in lines if line.startswith(argument)]


def test_the_command_names_every_job_and_preset(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["fwdecg", "--help"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    for job in JOBS.glob("*.py"):
        assert [line for line in lines if line.startswith(f"{job.stem} ")]
    assert {preset.name for preset in JOBS.glob("*.toml")} <= set(lines)


@pytest.mark.parametrize("job", sorted(path.stem for path in JOBS.glob("*.py")))
def test_a_job_run_by_the_command_names_it_in_its_help(job, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["fwdecg", job, "--help"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: fwdecg {job} [-h] ")


@pytest.mark.parametrize("preset", sorted(JOBS.glob("*.toml")), ids=lambda path: path.name)
def test_presets_are_valid(preset):
    experiment = load(Experiment, preset)
    assert experiment.library_store.folder.is_absolute()
    assert experiment.library.recording.frames > 1


def test_the_paper_preset_is_the_paper():
    paper = load(Experiment, JOBS / "paper.toml")
    assert paper.library.cases == 300
    assert paper.library.tissue.size_mm == 100.0
    assert paper.library.recording.electrodes_mm == ((50.0, 50.0, 40.0),)
    assert (paper.training.epochs, paper.training.learning_rate) == (200, 1e-3)
    assert not paper.training.mirror
    assert paper.training.schedule == "plateau"
    assert (paper.training.loss.spectral_weight, paper.training.loss.variance_floor) == (1.0, 0.0)
    assert not paper.model.changes


def test_the_best_preset_is_on_the_library_of_the_paper():
    paper, best = (load(Experiment, JOBS / f"{name}.toml") for name in ("paper", "best"))
    assert best.library == replace(paper.library, path=best.library.path)
    assert best.library_store.folder == paper.library_store.folder


def test_the_cluster_preset_has_thousands_of_cases_and_all_shifts():
    library = load(Experiment, JOBS / "cluster.toml").library
    shifts = [assign_case(case_id, library.shifts).shift for case_id in range(library.cases)]
    assert shifts.count(None) == 5000
    assert all(shifts.count(shift) == 500 for shift in SHIFTS)


@pytest.mark.parametrize(
    "job",
    [
        "build_library",
        "train",
        "evaluate",
        "reproduce",
        "benchmark",
        "predict",
        "ensemble",
        "export",
        "ablate",
        "tune",
        "check_library",
        "show_library",
    ],
)
def test_help_loads_nothing_that_takes_long(job):
    """In a process of its own: this one has it."""
    code = (
        "import runpy, sys; sys.argv = ['job', '--help']\n"
        f"try: runpy.run_path({str(JOBS / f'{job}.py')!r}, run_name='__main__')\n"
        f"except SystemExit: print('loaded:', *{SLOW_TO_LOAD} & sys.modules.keys())"
    )
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(JOBS.parent)}
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert said.stdout.splitlines()[-1].strip() == "loaded:"


@pytest.mark.parametrize(
    ("modules", "unneeded"),
    [
        (
            "fwdecg.experiment.command_line, fwdecg.library.build",
            {"pandas", "torch", "matplotlib", "fsspec"},
        ),
        ("fwdecg.library.reader", {"pandas", "scipy.ndimage", "ray", "torch", "fsspec"}),
        ("fwdecg.runtime.telemetry, fwdecg.runtime.cost", {"ray", "numpy"}),
    ],
)
def test_what_a_stage_does_not_need_is_not_loaded(modules, unneeded):
    code = f"import sys, {modules}; print('loaded:', *{unneeded} & sys.modules.keys())"
    environment = os.environ | {"PYTHONPATH": str(JOBS.parent)}
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert said.stdout.strip() == "loaded:"


def test_the_package_itself_loads_nothing():
    code = "import sys; before = set(sys.modules); import fwdecg; print(*set(sys.modules) - before)"
    environment = os.environ | {"PYTHONPATH": str(JOBS.parent)}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert said.stdout.split() == ["fwdecg"]
