"""What the package itself offers; that it loads nothing is in tests/jobs/test_help.py."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import fwdecg


def test_what_it_offers():
    for name in fwdecg.__all__:
        offered = getattr(fwdecg, name)
        assert getattr(import_module(offered.__module__), name) is offered
        assert offered.__doc__
    assert dir(fwdecg) == sorted(fwdecg.__all__)


def test_what_it_does_not_offer():
    with pytest.raises(AttributeError, match="module fwdecg has no attribute load_everything"):
        fwdecg.load_everything  # noqa: B018


@pytest.mark.slow
def test_a_case_is_simulated_and_drawn_without_ray_torch_or_pyplot():
    """In a process of its own: this one has them."""
    code = (
        "import sys, fwdecg\n"
        "case = fwdecg.simulate(settings=['library.tissue.size_mm=20', "
        "'library.recording.duration_ms=40', 'library.recording.electrodes_mm=[[10, 10, 8]]'])\n"
        "fwdecg.plot_case(case)\n"
        "print('loaded:', *{'ray', 'torch', 'matplotlib.pyplot'} & sys.modules.keys())"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert said.stdout.splitlines()[-1].strip() == "loaded:"
