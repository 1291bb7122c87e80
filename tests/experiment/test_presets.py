"""Presets are found by path and by name."""

from pathlib import Path

import pytest

from fwdecg.errors import ConfigError
from fwdecg.experiment.presets import find_preset, load_preset

JOBS = Path(__file__).parents[2] / "jobs"


def test_a_preset_is_found_by_its_name_unless_the_folder_has_one(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert find_preset("paper.toml") == JOBS / "paper.toml"
    (tmp_path / "paper.toml").write_text("")
    assert find_preset("paper.toml") == Path("paper.toml")


def test_settings_are_laid_over_it():
    assert load_preset("paper.toml", ["library.cases=5"]).library.cases == 5


def test_an_unknown_one_is_refused_with_the_names_there_are():
    with pytest.raises(ConfigError, match="a.toml: No such file .* fwdecg: best.toml, cluster"):
        find_preset("a.toml")


@pytest.mark.parametrize(
    ("name", "cases"),
    [
        ("quickstart", 2976),
        ("paper", 325),
        ("best", 325),
        ("cluster", 325),
        ("focal", 2314),
        ("reentry", 694),
    ],
)
def test_a_library_has_the_parts_it_ever_had(name, cases):
    # With others its files would not be the same bytes.
    assert load_preset(f"{name}.toml").library.part_cases == cases
