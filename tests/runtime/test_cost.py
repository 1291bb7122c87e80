import math
import time
from pathlib import Path

import pytest

from fwdecg.runtime import cost
from fwdecg.runtime.cost import Cost, CostMeter, cost_text


def spin(seconds):
    """Use CPU time."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        math.sqrt(2.0)


def test_times_are_added_and_the_peak_is_the_maximum():
    one = Cost(core_seconds=1.5, gpu_seconds=2.0, peak_memory_bytes=300)
    other = Cost(core_seconds=0.25, gpu_seconds=4.0, peak_memory_bytes=200)
    assert one + other == Cost(core_seconds=1.75, gpu_seconds=6.0, peak_memory_bytes=300)


def test_a_record_is_rounded_and_has_a_text():
    cost = Cost(core_seconds=279.44, gpu_seconds=0.06, peak_memory_bytes=412_400_000)
    record = cost.as_dict()
    assert record == {"core_seconds": 279.4, "gpu_seconds": 0.1, "peak_memory_bytes": 412_400_000}
    assert cost_text(record) == "279 core-seconds, 0 GPU-seconds, 412 MB in the largest process"
    assert cost_text(None) == "not recorded"


def test_a_lap_contains_cpu_time_and_the_time_of_reserved_gpus():
    before = time.process_time()
    meter = CostMeter(gpus=0.5)
    spin(0.2)
    first = meter.lap()
    time.sleep(0.3)
    second = meter.lap()
    assert first.core_seconds >= 0.2
    assert first.core_seconds + second.core_seconds <= time.process_time() - before
    assert first.gpu_seconds > 0  # no exact value: threads left by earlier tests use CPU time, too
    assert second.gpu_seconds >= 0.5 * 0.3
    # A sleeping process keeps its GPU reserved and uses no CPU time.
    assert second.core_seconds < second.gpu_seconds


def test_a_meter_can_include_the_cpu_time_since_the_process_started():
    spin(0.05)
    before = time.process_time()
    assert CostMeter(since_start=True).lap().core_seconds >= before


MEASURE = """
from fwdecg.runtime.cost import CostMeter
block = bytearray(200_000_000)
for offset in range(0, len(block), 4096):
    block[offset] = 1
del block
print(CostMeter().lap().peak_memory_bytes)
"""


def test_the_peak_includes_memory_that_was_freed(run_python):
    assert 200e6 < int(run_python("-c", MEASURE).stdout) < 300e6  # the interpreter adds 10 to 20 MB


@pytest.mark.parametrize("status", [None, "Name:\tpython\nVmRSS:\t 9000 kB\n"])
def test_the_peak_without_a_status_of_the_process(status, monkeypatch, tmp_path):
    """Systems other than Linux have no such file, and some containers omit the peak."""
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    monkeypatch.setattr(cost, "PROCESS_STATUS", tmp_path / "status")
    if status:
        (tmp_path / "status").write_text(status)
    assert CostMeter().lap().peak_memory_bytes > 0.5 * resident
