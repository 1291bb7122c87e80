"""Memory that this process can still take."""

from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")  # version 2; in a container, the container's own


def available_memory_bytes() -> float:
    """Return the memory that is free or can be freed, infinity if the system does not say it."""
    return min(_of_machine(), _of_container())


def _of_machine() -> float:
    try:
        lines = MEMINFO.read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        return float("inf")


def _of_container() -> float:
    """Return the rest of the cgroup's limit. Cached files count as used, but can be dropped."""
    try:
        limit = int((CGROUP / "memory.max").read_text())  # the word "max" if there is no limit
        used = int((CGROUP / "memory.current").read_text())
        lines = (CGROUP / "memory.stat").read_text().splitlines()
        cached = dict(line.split() for line in lines)["inactive_file"]
        return max(limit - used + int(cached), 0)
    except (OSError, ValueError, KeyError):
        return float("inf")
