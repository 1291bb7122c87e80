"""Invalid input: a job prints one line on stderr, exits with code 2 and leaves all files alone."""

from pathlib import Path

import pytest

JOBS = Path(__file__).parents[2] / "jobs"
QUICKSTART = str(JOBS / "quickstart.toml")


@pytest.fixture
def error_of(run_script, monkeypatch, tmp_path):
    """Return a function that runs a job with invalid input and returns its message."""
    monkeypatch.chdir(tmp_path)

    def run(job, *arguments):
        ended = run_script(job, *arguments)
        assert ended.code == 2
        assert ended.err.startswith("error: ")
        assert ended.err.count("\n") == 1
        return ended.err

    return run


@pytest.mark.parametrize(
    "job", ["build_library", "train", "evaluate", "reproduce", "ablate", "tune"]
)
def test_every_job_rejects_an_unknown_key(job, error_of, tmp_path):
    message = error_of(job, QUICKSTART, "--set", "library.caess=3")
    assert "unknown key library.caess; known here:" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: PRESET.toml"),
        (["jobs/quick.toml"], "or one that comes with fwdecg: best.toml, cluster.toml, focal"),
        ([QUICKSTART, "--set", "libary.cases=3"], "there is no section libary"),
        ([QUICKSTART, "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (
            [QUICKSTART, "--set", "library.tissue.small_patch_size_mm=[3.0, 1.0]"],
            "library.tissue.small_patch_size_mm = (3.0, 1.0): a range must run from low to high",
        ),
        ([QUICKSTART, "--set", "results.path=~nobody_/x"], "~nobody_/x: must start with an exist"),
        ([QUICKSTART, "--set", "library.path=~nobody_/x"], "~nobody_/x: must start with an exist"),
    ],
)
def test_bad_arguments(arguments, message, error_of, tmp_path):
    assert message in error_of("build_library", *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: subject"),
        (["solver", "--turns", "0"], "--turns 0: must be at least 1"),
        (["scheduling", "--cases", "0"], "--cases 0: must be at least 1"),
    ],
)
def test_bad_arguments_of_a_benchmark(arguments, message, error_of, tmp_path):
    assert message in error_of("benchmark", *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("job", ["train", "evaluate", "ablate", "tune"])
def test_a_missing_library(job, error_of, tmp_path):
    message = error_of(job, QUICKSTART, "--set", f"results.path={tmp_path}")
    assert "no such library; build it with the job build_library" in message


@pytest.mark.parametrize("arguments", [("predict", "none", ".", "ecg.parquet"), ("export", "none")])
def test_a_missing_checkpoint(arguments, error_of, tmp_path):
    assert "no such checkpoint" in error_of(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_process_prints_only_the_message(run_python, tmp_path):
    ended = run_python(JOBS / "train.py", QUICKSTART, "--set", f"results.path={tmp_path}", code=2)
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert "Traceback" not in ended.stderr
