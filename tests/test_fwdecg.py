"""Public names of the package; tests/jobs/test_help.py shows that importing it loads nothing."""

from importlib import import_module

import pytest

import fwdecg


def test_public_names_come_from_their_modules():
    for name in fwdecg.__all__:
        public = getattr(fwdecg, name)
        if name == "PARAMETER_SETS":  # a dictionary does not know where it is defined
            assert public["FK-CAF"] == fwdecg.Parameters(*public["FK-CAF"])
            continue
        assert getattr(import_module(public.__module__), name) is public
        assert public.__doc__
    assert dir(fwdecg) == sorted(fwdecg.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module fwdecg has no attribute load_everything"):
        fwdecg.load_everything  # noqa: B018


@pytest.mark.slow
def test_a_case_is_simulated_and_drawn_without_ray_torch_or_pyplot(run_python):
    """This runs in a new process, because this one has imported them."""
    code = (
        "import sys, fwdecg\n"
        "case = fwdecg.simulate(settings=['library.tissue.size_mm=20', "
        "'library.recording.duration_ms=40', 'library.recording.electrodes_mm=[[10, 10, 8]]'])\n"
        "fwdecg.plot_case(case)\n"
        "print('loaded:', *{'ray', 'torch', 'matplotlib.pyplot'} & sys.modules.keys())"
    )
    assert run_python("-c", code).stdout.splitlines()[-1].strip() == "loaded:"
