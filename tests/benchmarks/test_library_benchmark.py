import json
from dataclasses import replace

import pytest

from fwdecg.benchmarks.library_benchmark import benchmark_overhead, benchmark_scheduling

pytestmark = pytest.mark.ray


def test_overhead_is_that_of_the_build_over_the_bare_loop(ray_cluster, small_config, tmp_path):
    benchmark_overhead(replace(small_config, cases=4), tmp_path, turns=1, processes=2)
    found = json.loads((tmp_path / "metrics.json").read_text())
    ratio = found["build_seconds"] / found["bare_seconds"]
    assert found["overhead"] == pytest.approx(ratio - 1)
    assert "4 cases on 2 processors, medians of 1 turns" in (tmp_path / "report.txt").read_text()


def test_sleeps_are_scheduled_and_the_rest_is_overhead(ray_cluster, small_config, tmp_path):
    benchmark_scheduling(small_config, tmp_path, cases=12, slots=2, sleep_seconds=0.1)
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["seconds"] > 12 / 2 * 0.1
    total = 12 / 2 * (found["sleep_seconds"] + found["overhead_seconds_per_case"])
    assert found["seconds"] == pytest.approx(total)
    assert all(10 < mb < 10_000 for mb in found["driver_mb"])
