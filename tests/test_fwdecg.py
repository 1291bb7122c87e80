"""What the package itself offers; that it loads nothing is in tests/jobs/test_help.py."""

import pytest

import fwdecg
from fwdecg.library.reader import open_library
from fwdecg.training.checkpoint import load_surrogate


def test_what_it_offers():
    assert fwdecg.load_surrogate is load_surrogate
    assert fwdecg.open_library is open_library
    assert set(fwdecg.__all__) == {"load_surrogate", "open_library"}


def test_what_it_does_not_offer():
    with pytest.raises(AttributeError, match="module fwdecg has no attribute load_everything"):
        fwdecg.load_everything  # noqa: B018
