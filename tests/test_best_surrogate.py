"""The surrogate that comes with the project, on cases that no library of it holds."""

import re
from pathlib import Path

import numpy as np
import pytest

import fwdecg
from fwdecg.library.case import simulate_case
from fwdecg.library.config import LibraryConfig
from fwdecg.library.sampling import draw_case

ROOT = Path(__file__).parents[1]


def r_squared(predicted, true):
    return 1 - np.square(predicted - true).sum() / np.square(true - true.mean()).sum()


@pytest.mark.slow
def test_what_the_readme_shows(monkeypatch):
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (snippet,) = (text for text in snippets if "simulate_case" in text)
    monkeypatch.chdir(ROOT)
    found = {}
    exec(snippet, found)
    assert found["case"].spec.condition == "healthy"
    assert found["predicted"].shape == found["case"].phi_e.shape
    assert r_squared(found["predicted"], found["case"].phi_e) > 0.99


@pytest.mark.slow
def test_an_unseen_case_with_scars():
    config = LibraryConfig()
    case = simulate_case(draw_case(config, 1002), config)
    assert case.spec.condition == "fibrosis"
    predicted = fwdecg.load_surrogate(ROOT / "docs/best/best.safetensors").predict(case.u)
    assert r_squared(predicted, case.phi_e) > 0.9
