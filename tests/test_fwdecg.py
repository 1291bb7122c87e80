"""The package itself: light to import, and what it offers."""

import subprocess
import sys

import pytest

import fwdecg
from fwdecg.library.reader import open_library
from fwdecg.training.checkpoint import load_surrogate

HEAVY = {"torch", "ray", "numpy", "pyarrow", "numba", "matplotlib"}


def test_importing_it_loads_nothing_heavy():
    script = f"import sys, fwdecg; print(sorted({HEAVY} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert said.stdout.decode().strip() == "[]"


def test_what_it_offers():
    assert fwdecg.load_surrogate is load_surrogate
    assert fwdecg.open_library is open_library
    assert set(fwdecg.__all__) == {"load_surrogate", "open_library"}


def test_what_it_does_not_offer():
    with pytest.raises(AttributeError, match="module fwdecg has no attribute load_everything"):
        fwdecg.load_everything  # noqa: B018
