"""Invalid input: a job prints one line on stderr, exits with code 2 and leaves all files alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fwdecg.model import SurrogateConfig
from fwdecg.training.trainer import train
from fwdecg.training.training_config import TrainingConfig

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


@pytest.fixture
def library(small_library, tmp_path):
    shutil.copytree(small_library.store.folder, tmp_path / "library")
    return tmp_path / "library"


@pytest.fixture(scope="module")
def checkpoint(small_library, tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    model = SurrogateConfig(hidden_size=4, channels=(2, 2), time_embedding_size=4, readout_size=4)
    train(small_library, model, TrainingConfig(epochs=1, workers=0), folder)
    return folder / "best.safetensors"


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


def test_a_truncated_library(library, error_of):
    part = next((library / "cases").iterdir())
    part.write_bytes(part.read_bytes()[:-1])
    before = [path.read_bytes() for path in sorted(library.rglob("*.parquet"))]
    message = error_of("train", QUICKSTART, "--set", f"results.path={library.parent}")
    assert "delete the file and build the library again" in message
    assert [path.read_bytes() for path in sorted(library.rglob("*.parquet"))] == before


def test_a_search_space_with_an_unknown_key(small_library, error_of, tmp_path):
    overrides = (
        f"results.path={tmp_path}",
        f"library.path={small_library.store.folder}",
        "training.mirror=false",
        "tuning.space.model.hiden_size={choice=[8]}",
    )
    arguments = [word for override in overrides for word in ("--set", override)]
    assert "unknown key model.hiden_size" in error_of("tune", QUICKSTART, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_shape(library, checkpoint, error_of, tmp_path):
    manifest = library / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"map_pixels": 8', '"map_pixels": 16'))
    arguments = [QUICKSTART, "--set", f"results.path={tmp_path}", "--checkpoint", checkpoint]
    assert "map_pixels" in error_of("evaluate", *arguments)


def test_maps_with_nan(checkpoint, error_of, tmp_path):
    u = np.zeros((8, 8, 8), np.float32)
    u[3, 2, 1] = np.nan
    np.save(tmp_path / "maps.npy", u)
    assert "nan" in error_of("predict", checkpoint, "maps.npy", "ecg.parquet").lower()
    assert not (tmp_path / "ecg.parquet").exists()


def test_predict_writes_only_parquet_files(error_of):
    message = error_of("predict", "best.safetensors", "maps.npy", "ecg.csv")
    assert "ends in .parquet" in message


@pytest.mark.parametrize("arguments", [("predict", "none", ".", "ecg.parquet"), ("export", "none")])
def test_a_missing_checkpoint(arguments, error_of, tmp_path):
    assert "no such checkpoint" in error_of(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_an_ensemble_of_one_surrogate(library, checkpoint, error_of, tmp_path):
    overrides = ["--set", f"results.path={tmp_path}/results", "--set", f"library.path={library}"]
    message = error_of("ensemble", QUICKSTART, *overrides, "--checkpoints", checkpoint)
    assert "give at least two" in message
    assert not (tmp_path / "results").exists()


def test_a_process_prints_only_the_message(tmp_path):
    command = [sys.executable, str(JOBS / "train.py"), QUICKSTART]
    command += ["--set", f"results.path={tmp_path}"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert "Traceback" not in ended.stderr
