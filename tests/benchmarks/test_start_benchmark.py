import json

import pytest

from fwdecg.benchmarks import start_benchmark
from fwdecg.benchmarks.start_benchmark import RAY, TASK, Start, benchmark_start
from fwdecg.errors import RunError

BUSY = "import time\nwhile time.process_time() < 0.3: pass\n"


def test_processor_time_and_time_by_the_clock_are_told_apart():
    asleep = start_benchmark._time(["-c", "import time; time.sleep(0.5)"])
    busy = start_benchmark._time(["-c", BUSY])
    assert asleep.seconds >= 0.5
    assert busy.core_seconds >= 0.3
    assert asleep.core_seconds < busy.core_seconds


def test_what_a_process_waits_for_counts_too():
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"
    assert start_benchmark._time(["-c", parent]).core_seconds >= 0.3


def test_a_process_that_fails_is_no_measure():
    with pytest.raises(RunError, match="failed: no reason"):
        start_benchmark._time(["-c", "raise SystemExit('no reason')"])


@pytest.mark.ray
@pytest.mark.slow
def test_what_a_benchmark_leaves(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text("import sys; assert sys.argv[1] == '--help'\n" + BUSY)
    monkeypatch.setattr(start_benchmark, "LOADED", {"Python alone": "pass"})
    # The cluster of other tests holds the port for jobs; tests/cluster has the submissions.
    taken = {"ray job submit of nothing": Start(0.5, 6.0)}
    monkeypatch.setattr(start_benchmark, "_time_submissions", lambda jobs, turns: taken)
    benchmark_start(tmp_path, tmp_path / "result", turns=1)
    found = json.loads((tmp_path / "result/metrics.json").read_text())
    assert list(found) == ["Python alone", "train.py --help", RAY, TASK, *taken]
    starts = {name: Start(**values) for name, values in found.items()}
    assert starts["train.py --help"].core_seconds >= 0.3
    assert 0 < starts["Python alone"].core_seconds < 0.3
    assert all(0 < starts[name].core_seconds < 100 for name in (RAY, TASK))
    assert f"{starts[TASK].seconds:.2f}" in (tmp_path / "result/report.txt").read_text()
