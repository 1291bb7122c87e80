import math
import subprocess
import sys
import time
from dataclasses import asdict

import pytest

from fwdecg.runtime import cost
from fwdecg.runtime.cost import Cost, CostMeter, cost_text


def spin(seconds):
    """Use the processor for as long."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        math.sqrt(2.0)


def test_times_add_up_and_the_largest_process_counts():
    one = Cost(core_seconds=1.5, gpu_seconds=2.0, peak_memory_bytes=300)
    other = Cost(core_seconds=0.25, gpu_seconds=4.0, peak_memory_bytes=200)
    assert one + other == Cost(core_seconds=1.75, gpu_seconds=6.0, peak_memory_bytes=300)
    assert sum([one, other], Cost()) == one + other


def test_a_record_is_read_again():
    spent = Cost(core_seconds=12.34, gpu_seconds=0.06, peak_memory_bytes=1_234_567)
    kept = spent.as_dict()
    assert kept == {"core_seconds": 12.3, "gpu_seconds": 0.1, "peak_memory_bytes": 1_234_567}
    assert asdict(Cost.from_dict(kept)) == kept


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (None, "not recorded"),
        (
            {"core_seconds": 279.4, "gpu_seconds": 0.0, "peak_memory_bytes": 412_400_000},
            "279 core-seconds, 0 GPU-seconds, 412 MB in the largest process",
        ),
    ],
)
def test_in_words(record, text):
    assert cost_text(record) == text


def test_laps_are_of_processor_time_and_of_the_time_that_gpus_are_held():
    before = time.process_time()
    meter = CostMeter(gpus=0.5)
    spin(0.2)
    first = meter.lap()
    time.sleep(0.3)
    second = meter.lap()
    assert first.core_seconds >= 0.2
    assert first.core_seconds + second.core_seconds <= time.process_time() - before
    assert first.gpu_seconds > 0  # threads that tests before have left spend processor time, too
    assert second.gpu_seconds >= 0.5 * 0.3
    # Sleeping takes a GPU that is held, and no processor.
    assert second.core_seconds < second.gpu_seconds


def test_what_a_process_spent_before_counts_if_it_was_started_for_the_work():
    spin(0.05)
    before = time.process_time()
    assert CostMeter(since_start=True).lap().core_seconds >= before


MEASURE = """
from fwdecg.runtime.cost import CostMeter
held = bytearray(200_000_000)
for place in range(0, len(held), 4096):
    held[place] = 1
del held
print(CostMeter().lap().peak_memory_bytes)
"""


@pytest.mark.parametrize("status", ["as it is", "none", "without a peak"])
def test_the_peak_of_memory_that_was_given_back(status, tmp_path):
    path, tells = tmp_path / "status", status == "as it is"
    if status == "without a peak":
        path.write_text("Name:\tpython\nVmRSS:\t 9000 kB\n")
    without = "" if tells else f"from pathlib import Path; cost.STATUS = Path({str(path)!r})\n"
    code = f"from fwdecg import cost\n{without}{MEASURE}"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    # 200 MB beside an interpreter's 10 to 20; getrusage may tell of this process's, that forked it.
    assert 200e6 < int(said.stdout) < (300e6 if tells else 100e9)


def test_the_peak_is_not_below_what_is_resident_now():
    pages = int(cost.STATUS.with_name("statm").read_text().split()[1])
    assert CostMeter().lap().peak_memory_bytes > pages * 4096 * 0.5
