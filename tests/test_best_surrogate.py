"""The surrogate that comes with the project, on cases that no library of it holds."""

import re
from pathlib import Path

import numpy as np
import pytest

import fwdecg

ROOT = Path(__file__).parents[1]


def r_squared(predicted, true):
    return 1 - np.square(predicted - true).sum() / np.square(true - true.mean()).sum()


@pytest.mark.slow
def test_what_the_readme_shows(monkeypatch, tmp_path):
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (snippet,) = (text for text in snippets if "load_surrogate()" in text)
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(snippet, found)
    case = found["case"]
    assert (case.case_id, case.condition) == (1000, "healthy")
    assert found["predicted"].shape == case.phi_e_mm_per_ms.shape
    assert r_squared(found["predicted"], case.phi_e_mm_per_ms) > 0.995
    assert found["weights"].shape == (160, 160)
    assert {path.name for path in tmp_path.iterdir()} == {"predicted.png", "attention.png"}


@pytest.mark.slow
def test_an_unseen_case_with_scars():
    case = fwdecg.simulate("fibrosis", number=400)
    assert case.case_id == 1002
    predicted = fwdecg.load_surrogate().predict(case.u)
    assert r_squared(predicted, case.phi_e_mm_per_ms) > 0.99
