"""Whatever is wrong with a command: one line on stderr, exit code 2, nothing written is lost."""

import runpy
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


def refusal(job, arguments, monkeypatch, capsys):
    """What a job says on stderr when it refuses its arguments."""
    monkeypatch.setattr("sys.argv", [f"{job}.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(JOBS / f"{job}.py"), run_name="__main__")
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


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
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: PRESET.toml"),
        (["missing.toml"], "missing.toml: No such file or directory"),
        (["jobs/quick.toml"], "or one that comes with fwdecg: best.toml, cluster.toml, focal"),
        ([QUICKSTART, "--set", "library.caess=3"], "unknown key library.caess; known here:"),
        ([QUICKSTART, "--set", "library.cases=many"], "library.cases = 'many': must be whole"),
        ([QUICKSTART, "--set", "libary.cases=3"], "there is no section libary"),
        ([QUICKSTART, "--set", "library.cases"], "must read section.key=value"),
        ([QUICKSTART, "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (
            [QUICKSTART, "--set", "library.tissue.healthy_diffusivity_mm2_per_ms=[-0.1, 0.1]"],
            "library.tissue.healthy_diffusivity_mm2_per_ms = (-0.1, 0.1): must be above 0",
        ),
        (
            [QUICKSTART, "--set", "library.tissue.small_patch_size_mm=[3.0, 1.0]"],
            "library.tissue.small_patch_size_mm = (3.0, 1.0): a range must run from low to high",
        ),
        (
            [QUICKSTART, "--set", "library.recording.electrodes_mm=[[25.0, 25.0, 0.0]]"],
            "electrode [25.0, 25.0, 0.0] mm is 0 mm from the sheet",
        ),
        ([QUICKSTART, "--set", "library.solver.cell_model=BR"], "must be one of FK-CAF, FK-CRN"),
        ([QUICKSTART, "--set", "library.solver.dt_ms=1.0"], "solver.dt_ms = 1: must be at most"),
        ([QUICKSTART, "--set", "results.path=~nobody_/x"], "~nobody_/x: must start with a home"),
        ([QUICKSTART, "--set", "library.path=~nobody_/x"], "~nobody_/x: must start with a home"),
        ([QUICKSTART, "--set", "tuning.path=~nobody_"], "~nobody_: must start with a home"),
        ([QUICKSTART, "--set", "model.time_embedding_size=15"], "must be even"),
        ([QUICKSTART, "--set", "training.learning_rate=0"], "must be above 0"),
        ([QUICKSTART, "--set", 'ablation.variants=["model.attention=false"]'], "must read name:"),
    ],
)
def test_bad_arguments(job, arguments, message, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert message in refusal(job, arguments, monkeypatch, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: subject"),
        (["network"], "argument subject: invalid choice: 'network'"),
        (["solver", "missing.toml"], "missing.toml: No such file or directory"),
        (["solver", "--turns", "0"], "--turns 0: must be at least 1"),
        (["scheduling", "--cases", "0"], "--cases 0: must be at least 1"),
    ],
)
def test_bad_arguments_of_a_benchmark(arguments, message, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert message in refusal("benchmark", arguments, monkeypatch, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: LIBRARY"),
        (["missing"], "missing: no such library; build it with the job build_library"),
        (["{library}", "--case", "10"], "there is no case 10 in the library, whose 10 cases"),
        (["{library}", "--case", "first"], "argument --case: invalid int value: 'first'"),
        (["{library}", "--out", "{library}/cases"], "choose another folder"),
    ],
)
def test_bad_arguments_of_show_library(
    arguments, message, small_library, monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)
    own = [text.format(library=small_library.store.folder) for text in arguments]
    assert message in refusal("show_library", own, monkeypatch, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("job", ["train", "evaluate", "ablate", "tune"])
def test_a_missing_library(job, monkeypatch, capsys, tmp_path):
    arguments = [QUICKSTART, "--set", f"results.path={tmp_path}"]
    message = refusal(job, arguments, monkeypatch, capsys)
    assert "no such library; build it with the job build_library" in message


@pytest.mark.parametrize("job", ["train", "evaluate", "tune"])
def test_a_truncated_library(job, library, monkeypatch, capsys):
    part = next((library / "cases").iterdir())
    part.write_bytes(part.read_bytes()[:-1])
    others = [path.read_bytes() for path in sorted(library.rglob("*.parquet"))]
    arguments = [QUICKSTART, "--set", f"results.path={library.parent}"]
    message = refusal(job, arguments, monkeypatch, capsys)
    assert "delete the file and build the library again: the other parts are kept" in message
    assert [path.read_bytes() for path in sorted(library.rglob("*.parquet"))] == others


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tuning.space.model.hiden_size={choice=[8]}", "unknown key model.hiden_size; known here"),
        ("tuning.space.model.dropout={uniform=[0.5, 1.5]}", "model.dropout = 1.5: must be below 1"),
        ("tuning.space.model.dropout={normal=[0.1, 0.2]}", "must be a table with one of choice"),
        ("tuning.space={}", "tuning.space is empty"),
        ("tuning.searcher=grid", "tuning.searcher = 'grid': must be one of random, optuna"),
        ("tuning.grace_period=41", "tuning.grace_period = 41: trials of 40 epochs"),
        ("tuning.reduction_factor=1", "reduction_factor = 1.0: must be at least 1.5"),
    ],
)
def test_a_bad_search(override, message, small_library, monkeypatch, capsys, tmp_path):
    arguments = [QUICKSTART, "--set", f"results.path={tmp_path}", "--set", override]
    arguments += ["--set", f"library.path={small_library.store.folder}"]
    arguments += ["--set", "training.mirror=false"]
    assert message in refusal("tune", arguments, monkeypatch, capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_shape(library, checkpoint, monkeypatch, capsys, tmp_path):
    own = [QUICKSTART, "--set", f"results.path={tmp_path}", "--checkpoint", checkpoint]
    (tmp_path / "library/manifest.json").write_text(
        (library / "manifest.json").read_text().replace('"map_pixels": 8', '"map_pixels": 16')
    )
    assert "map_pixels" in refusal("evaluate", own, monkeypatch, capsys)


def maps(case):
    u = np.zeros((8, 8, 8), np.float32)
    if case == "nan":
        u[3, 2, 1] = np.nan
    if case == "shape":
        u = u[:, :4]
    if case == "text":
        return np.array(["a", "b"])
    return u


@pytest.mark.parametrize(
    ("case", "message"),
    [("nan", "nan"), ("shape", "has shape (8, 4, 8): must be"), ("text", "numbers")],
)
def test_bad_maps(case, message, checkpoint, monkeypatch, capsys, tmp_path):
    np.save(tmp_path / "maps.npy", maps(case))
    arguments = [checkpoint, tmp_path / "maps.npy", tmp_path / "ecg.parquet"]
    assert message in refusal("predict", arguments, monkeypatch, capsys).lower()
    assert not (tmp_path / "ecg.parquet").exists()


def test_ecgs_under_a_name_of_another_kind(monkeypatch, capsys, tmp_path):
    arguments = [tmp_path / "best.safetensors", tmp_path / "maps.npy", tmp_path / "ecg.csv"]
    assert "give a name that ends in .parquet" in refusal("predict", arguments, monkeypatch, capsys)


def test_predict_refuses_what_is_no_checkpoint(library, monkeypatch, capsys, tmp_path):
    arguments = [tmp_path / "best.safetensors", library, tmp_path / "ecg.parquet"]
    assert "no such checkpoint" in refusal("predict", arguments, monkeypatch, capsys)


def test_export_refuses_what_is_no_checkpoint(monkeypatch, capsys, tmp_path):
    assert "no such checkpoint" in refusal("export", [tmp_path / "best"], monkeypatch, capsys)
    assert list(tmp_path.iterdir()) == []


def test_an_ensemble_of_one_surrogate(library, checkpoint, monkeypatch, capsys, tmp_path):
    results = tmp_path / "results"
    own = [QUICKSTART, "--set", f"results.path={results}", "--set", f"library.path={library}"]
    own += ["--checkpoints", checkpoint]
    assert "give at least two" in refusal("ensemble", own, monkeypatch, capsys)
    twice = refusal("ensemble", [*own, checkpoint], monkeypatch, capsys)
    assert "has the same weights as" in twice
    assert not results.exists()


def test_nothing_but_the_line_comes_from_a_process_of_its_own(tmp_path):
    command = [sys.executable, str(JOBS / "train.py"), QUICKSTART]
    command += ["--set", f"results.path={tmp_path}"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert "Traceback" not in ended.stderr
