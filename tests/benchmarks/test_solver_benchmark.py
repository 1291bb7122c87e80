import json

import pytest

from fwdecg.benchmarks import solver_benchmark

SPEED = {
    "plain_mnu_per_s": 1000.0,
    "default_mnu_per_s": 900.0,
    "finitewave_mnu_per_s": 20.0,
    "ecg_ms_per_frame": 0.03,
    "two_processes_over_one": 1.95,
    "fma_gflop_per_s": 98.0,
    "triad_l1_gb_per_s": 130.0,
    "triad_l2_gb_per_s": 72.0,
    "triad_memory_gb_per_s": 11.0,
}


def outcome(setting, core_seconds, ecg_r2):
    return {
        "setting": setting,
        "core_seconds": core_seconds,
        "ecg_share": 0.01,
        "skipped_share": 0.5,
        "ecg_r2": ecg_r2,
        "activation_error_ms": 0.2,
        "velocity_error": 0.004,
    }


@pytest.fixture
def measured(monkeypatch):
    outcomes = [
        [outcome("plain", 20.0, 0.9), outcome("0.02", 2.0, 0.9995)],
        [outcome("plain", 30.0, 0.8), outcome("0.02", 3.0, 0.9991)],
    ]
    monkeypatch.setattr(solver_benchmark, "solver_speed", lambda rounds, finitewave_python: SPEED)
    monkeypatch.setattr(solver_benchmark, "solver_accuracy", lambda *sample: iter(outcomes))


def test_report_and_metrics_agree(measured, small_config, tmp_path):
    solver_benchmark.benchmark_solver(
        small_config, tmp_path, rounds=1, cases_per_condition=1, finitewave_python=None
    )
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["cost_over_plain"] == {"plain": 1.0, "0.02": 10.0}
    # 49 operations per update at 1000 million updates per second are half of 98 GFLOP/s.
    assert metrics["shares"]["plain_arithmetic"] == pytest.approx(0.5)
    assert len(metrics["accuracy"]) == 4
    report = (tmp_path / "report.txt").read_text()
    assert "plain 50.0 times, default 45.0 times" in report
    assert "2 cases" in report
    (line,) = [line for line in report.splitlines() if line.startswith("  0.02")]
    assert "10.0 x" in line
    assert "0.99910" in line
    assert "0.4%" in line


def test_results_measured_before_a_failure_are_kept(measured, monkeypatch, small_config, tmp_path):
    def one_case_and_a_failure(*sample):
        yield [outcome("plain", 20.0, 0.9)]
        raise KeyboardInterrupt

    monkeypatch.setattr(solver_benchmark, "solver_accuracy", one_case_and_a_failure)
    with pytest.raises(KeyboardInterrupt):
        solver_benchmark.benchmark_solver(
            small_config, tmp_path, rounds=1, cases_per_condition=1, finitewave_python=None
        )
    assert len(json.loads((tmp_path / "metrics.json").read_text())["accuracy"]) == 1
