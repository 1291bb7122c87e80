import inspect
import pickle

import pytest

from fwdecg import errors

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("kind", KINDS)
def test_errors_survive_pickling(kind):
    error = pickle.loads(pickle.dumps(kind("D = -1: must be above 0")))
    assert type(error) is kind
    assert str(error) == "D = -1: must be above 0"
    assert isinstance(error, errors.FwdEcgError | errors.FwdEcgWarning)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), "MemoryError"),
        (ValueError("first\n\nlast\n"), "ValueError: last"),
        (RuntimeError("  \n"), "RuntimeError"),
    ],
)
def test_a_summary_has_the_class_and_the_last_line(error, expected):
    assert errors.error_summary(error) == expected
