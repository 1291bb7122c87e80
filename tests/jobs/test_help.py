import re
from pathlib import Path

import pytest

from fwdecg.__main__ import main
from fwdecg.config import describe_keys
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


def test_help_has_every_key_with_default_and_meaning(run_script):
    ended = run_script("train", "--help")
    assert ended.code == 0
    lines = [line.strip() for line in ended.out.splitlines()]
    for line in describe_keys(Experiment):
        assert line in lines
        assert re.fullmatch(r"[\w.]+ \(.+, default .+\): \S.*", line)


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


@pytest.fixture
def imported(run_python):
    """Return a function that runs code in a new process and returns which modules it imported."""

    def run(code, names):
        code += f"\nimport sys; print('imported:', *{names} & sys.modules.keys())"
        return set(run_python("-c", code).stdout.splitlines()[-1].split()[1:])

    return run


def test_the_help_of_all_jobs_imports_nothing_slow(imported):
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
def test_a_stage_imports_only_what_it_needs(modules, unneeded, imported):
    assert imported(f"import {modules}", unneeded) == set()


def test_the_package_itself_imports_nothing_else(run_python):
    code = "import sys; before = set(sys.modules); import fwdecg; print(*set(sys.modules) - before)"
    own = {"fwdecg", "fwdecg.runtime", "fwdecg.runtime.numba_environment"}
    assert set(run_python("-c", code).stdout.split()) == own
