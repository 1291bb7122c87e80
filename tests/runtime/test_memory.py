"""Available memory of the machine and of a container."""

import pytest

from fwdecg.runtime import memory


@pytest.fixture
def system(tmp_path, monkeypatch):
    """The files of a machine with 3 GiB available, without a container's limit."""
    (tmp_path / "meminfo").write_text("MemTotal:  8388608 kB\nMemAvailable:  3145728 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    return tmp_path


def limit(system, maximum):
    (system / "memory.max").write_text(f"{maximum}\n")
    (system / "memory.current").write_text("700\n")
    (system / "memory.stat").write_text("anon 400\ninactive_file 200\n")


def test_memory_of_the_machine(system):
    assert memory.available_memory_bytes() == 3 * 2**30


def test_a_container_may_have_less(system):
    limit(system, 1000)
    assert memory.available_memory_bytes() == 1000 - 700 + 200


def test_a_container_without_a_limit(system):
    limit(system, "max")
    assert memory.available_memory_bytes() == 3 * 2**30


def test_an_unknown_system_has_no_known_limit(system):
    (system / "meminfo").unlink()
    assert memory.available_memory_bytes() == float("inf")
