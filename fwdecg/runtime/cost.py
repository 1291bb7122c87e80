"""Cost of work: CPU time, GPU time and peak memory, measured in the process that does it."""

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PROCESS_STATUS = Path("/proc/self/status")  # Linux only
PEAK_MEMORY_KEY = "VmHWM:"  # line with the peak resident memory in kB


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Resources that some work used. Costs can be added.

    Attributes:
        core_seconds: CPU time of all threads of all processes.
        gpu_seconds: time for which GPUs were reserved, busy or idle, summed over the GPUs.
        peak_memory_bytes: peak resident memory of the largest process.
    """

    core_seconds: float = 0.0
    gpu_seconds: float = 0.0
    peak_memory_bytes: int = 0

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
        """Return the fields for JSON, with times rounded to 0.1 s."""
        return {name: round(value, 1) for name, value in asdict(self).items()}


def cost_text(record: Mapping[str, Any] | None) -> str:
    """Format a cost record as text. Results of early versions have no record (None)."""
    return str(Cost(**record)) if record else "not recorded"


class CostMeter:
    """Measure the cost of this process."""

    def __init__(self, *, gpus: float = 0.0, since_start: bool = False) -> None:
        """Start measuring.

        Args:
            gpus: number of GPUs reserved for this process.
            since_start: include the CPU time since the process started. Use it in a process that
                was started for the measured work, so that its imports count.
        """
        self._gpus = gpus
        self._core_seconds = 0.0 if since_start else time.process_time()
        self._seconds = time.monotonic()

    def lap(self) -> Cost:
        """Return the cost since the previous lap, but the peak memory since the process started."""
        core_seconds, seconds = time.process_time(), time.monotonic()
        cost = Cost(
            core_seconds=core_seconds - self._core_seconds,
            gpu_seconds=self._gpus * (seconds - self._seconds),
            peak_memory_bytes=_peak_memory_bytes(),
        )
        self._core_seconds, self._seconds = core_seconds, seconds
        return cost


def _peak_memory_bytes() -> int:
    """Return the peak resident memory of this process."""
    try:
        status = PROCESS_STATUS.read_text(encoding="ascii", errors="replace")
    except OSError:  # not Linux
        status = ""
    for line in status.splitlines():
        if line.startswith(PEAK_MEMORY_KEY):
            return int(line.split()[1]) * 1024
    # This is only the fallback, because on Linux a forked process starts with its parent's peak.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
