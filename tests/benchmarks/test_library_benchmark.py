import json
from dataclasses import replace

import pytest

from fwdecg.benchmarks.library_benchmark import benchmark_overhead, benchmark_scheduling

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def test_overhead_is_build_time_over_bare_time(ray_cluster, small_config, tmp_path):
    benchmark_overhead(replace(small_config, cases=4), tmp_path, rounds=1, processes=2)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    ratio = metrics["build_seconds"] / metrics["bare_seconds"]
    assert metrics["overhead"] == pytest.approx(ratio - 1)
    assert "4 cases on 2 CPUs, medians of 1 rounds" in (tmp_path / "report.txt").read_text()


def test_scheduling_overhead_is_the_time_beyond_the_sleeps(ray_cluster, small_config, tmp_path):
    benchmark_scheduling(small_config, tmp_path, cases=12, slots=2, sleep_seconds=0.1)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["seconds"] > 12 / 2 * 0.1
    total = 12 / 2 * (metrics["sleep_seconds"] + metrics["overhead_seconds_per_case"])
    assert metrics["seconds"] == pytest.approx(total)
    assert all(10 < mb < 10_000 for mb in metrics["driver_mb"])
