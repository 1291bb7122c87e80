import subprocess
import sys

import pytest

from fwdecg.errors import ResultError
from fwdecg.runtime import ownership
from fwdecg.runtime.ownership import exclusive_use, record_owner
from fwdecg.runtime.storage import Store

HOLD = """
import sys, time
from fwdecg.runtime.ownership import exclusive_use
from fwdecg.runtime.storage import Store
with exclusive_use(Store.at(sys.argv[1]), "training"):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_store_belongs_to_one_configuration(store):
    record_owner(store, {"seed": 1, "cases": 2}, "library")
    record_owner(store, {"seed": 1, "cases": 2}, "library")
    with pytest.raises(ResultError, match=r"was made with another library\.seed; choose another"):
        record_owner(store, {"seed": 3, "cases": 2}, "library")


def test_a_store_with_other_files_is_refused(store):
    store.publish("thesis.tex", b"do not touch")
    with pytest.raises(ResultError, match=r"is not empty and has no config\.json"):
        record_owner(store, {}, "library")


def test_two_processes_do_not_work_in_one_folder_and_a_killed_one_leaves_no_lock(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(ownership, "LOCK_TIMEOUT_S", 0.0)
    store = Store.at(tmp_path)
    record_owner(store, {})
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"locked\n"
        message = "another training is running in this folder; wait for it to end, or choose"
        with pytest.raises(ResultError, match=message), exclusive_use(store, "training"):
            pass
        other.kill()
    with exclusive_use(store, "training"):
        pass
    with exclusive_use(store, "training"):  # also released by a process that goes on
        pass


def test_a_file_system_without_locks_is_used_without(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(95, "Operation not supported")

    record_owner(Store.at(tmp_path), {})
    monkeypatch.setattr(ownership.fcntl, "flock", unsupported)
    with exclusive_use(Store.at(tmp_path), "training"):
        pass
