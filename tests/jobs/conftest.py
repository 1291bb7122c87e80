import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

JOBS = Path(__file__).parents[2] / "jobs"


@pytest.fixture
def run_script(monkeypatch, capsys):
    """Return a function that runs a job in this process and returns its exit code and output."""

    def run(job, *arguments):
        monkeypatch.setattr("sys.argv", [f"{job}.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(JOBS / f"{job}.py"), run_name="__main__")
        printed = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code, out=printed.out, err=printed.err)

    return run
