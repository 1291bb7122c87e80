"""What work costs: processor time, time on GPUs, memory; measured in the process that does it."""

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")  # of this process, on Linux
PEAK = "VmHWM:"  # the line of its largest resident memory, in kB


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What some work took; costs add up.

    Attributes:
        core_seconds: processor time of its processes, in all their threads.
        gpu_seconds: time for which it held GPUs, busy or not, times their number.
        peak_memory_bytes: largest resident memory of one of its processes.
    """

    core_seconds: float = 0.0
    gpu_seconds: float = 0.0
    peak_memory_bytes: int = 0

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Cost":
        """The cost that `as_dict` made a record of."""
        return cls(**record)

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            core_seconds=self.core_seconds + other.core_seconds,
            gpu_seconds=self.gpu_seconds + other.gpu_seconds,
            peak_memory_bytes=max(self.peak_memory_bytes, other.peak_memory_bytes),
        )

    def __str__(self) -> str:
        return (
            f"{self.core_seconds:.0f} core-seconds, {self.gpu_seconds:.0f} GPU-seconds, "
            f"{self.peak_memory_bytes / 1e6:.0f} MB in the largest process"
        )

    def as_dict(self) -> dict[str, Any]:
        """As plain values; times to tenths of a second."""
        return asdict(self) | {
            "core_seconds": round(self.core_seconds, 1),
            "gpu_seconds": round(self.gpu_seconds, 1),
        }


def cost_text(record: Mapping[str, Any] | None) -> str:
    """What `Cost.as_dict` left in a result, in words; None if an earlier version made it."""
    return str(Cost.from_dict(record)) if record else "not recorded"


class CostMeter:
    """Measures what this process spends."""

    def __init__(self, *, gpus: float = 0.0, since_start: bool = False) -> None:
        """Begin to measure.

        Args:
            gpus: how many it holds.
            since_start: count the processor time that it has spent already; for processes that
                were started for the very work.
        """
        self._gpus = gpus
        self._core_seconds = 0.0 if since_start else time.process_time()
        self._seconds = time.monotonic()

    def lap(self) -> Cost:
        """The cost since the last lap or else the beginning; memory since the process began."""
        core_seconds, seconds = time.process_time(), time.monotonic()
        cost = Cost(
            core_seconds=core_seconds - self._core_seconds,
            gpu_seconds=self._gpus * (seconds - self._seconds),
            peak_memory_bytes=_peak_memory_bytes(),
        )
        self._core_seconds, self._seconds = core_seconds, seconds
        return cost


def _peak_memory_bytes() -> int:
    """Largest resident memory of this process so far."""
    for line in _status().splitlines():
        if line.startswith(PEAK):
            return int(line.split()[1]) * 1024
    # Only here, for it may tell of the process that started this one.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _status() -> str:
    """What the system says of this process; nothing where it is not Linux."""
    try:
        return STATUS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
