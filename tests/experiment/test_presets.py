from dataclasses import replace
from pathlib import Path

import pytest

from fwdecg.cases.splits import SHIFTS, assign_case
from fwdecg.errors import ConfigError
from fwdecg.experiment.presets import find_preset, load_preset

JOBS = Path(__file__).parents[2] / "jobs"


def test_a_file_precedes_a_preset_of_the_same_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert find_preset("paper.toml") == JOBS / "paper.toml"
    (tmp_path / "paper.toml").write_text("")
    assert find_preset("paper.toml") == Path("paper.toml")


def test_an_unknown_preset_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ConfigError, match="a.toml: No such file .* fwdecg: best.toml, cluster"):
        find_preset("a.toml")


@pytest.mark.parametrize(
    ("name", "part_cases"),
    [
        ("quickstart", 2976),
        ("paper", 325),
        ("best", 325),
        ("cluster", 325),
        ("focal", 2314),
        ("reentry", 694),
    ],
)
def test_a_preset_is_valid_and_keeps_its_part_size(name, part_cases):
    """The number of cases per part determines the bytes of the files."""
    experiment = load_preset(f"{name}.toml")
    assert experiment.library_store.folder.is_absolute()
    assert experiment.library.recording.frames > 1
    assert experiment.library.part_cases == part_cases


def test_the_paper_preset_has_the_settings_of_the_paper():
    paper = load_preset("paper.toml")
    assert paper.library.cases == 300
    assert paper.library.tissue.size_mm == 100.0
    assert paper.library.recording.electrodes_mm == ((50.0, 50.0, 40.0),)
    assert (paper.training.epochs, paper.training.learning_rate) == (200, 1e-3)
    assert not paper.training.mirror
    assert paper.training.schedule == "plateau"
    assert (paper.training.loss.spectral_weight, paper.training.loss.variance_floor) == (1.0, 0.0)
    assert not paper.model.changes


def test_the_best_preset_uses_the_library_of_the_paper():
    paper, best = (load_preset(f"{name}.toml") for name in ("paper", "best"))
    assert best.library == replace(paper.library, path=best.library.path)
    assert best.library_store.folder == paper.library_store.folder


def test_the_cluster_preset_has_5000_regular_cases_and_500_of_each_shift():
    library = load_preset("cluster.toml").library
    shifts = [assign_case(case_id, library.shifts).shift for case_id in range(library.cases)]
    assert shifts.count(None) == 5000
    assert all(shifts.count(shift) == 500 for shift in SHIFTS)
