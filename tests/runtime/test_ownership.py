import pytest

from fwdecg.errors import ResultError
from fwdecg.runtime.ownership import record_owner


def test_a_store_belongs_to_one_configuration(store):
    record_owner(store, {"seed": 1, "cases": 2}, "library")
    record_owner(store, {"seed": 1, "cases": 2}, "library")
    with pytest.raises(ResultError, match=r"was made with another library\.seed; choose another"):
        record_owner(store, {"seed": 3, "cases": 2}, "library")


def test_a_store_with_other_files_is_refused(store):
    store.publish("thesis.tex", b"do not touch")
    with pytest.raises(ResultError, match=r"is not empty and has no config\.json"):
        record_owner(store, {}, "library")
