"""The benchmark of the solver: speed relative to the machine's limits, and cost of accuracy."""

import logging
import os
import platform
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from fwdecg.benchmarks.solver_accuracy import PLAIN, solver_accuracy
from fwdecg.benchmarks.solver_speed import solver_speed
from fwdecg.benchmarks.timing import publish
from fwdecg.cases.library_config import LibraryConfig

logger = logging.getLogger(__name__)

TARGETS = (0.01, 0.02, 0.03, 0.05)

# Operations and bytes per node update of each scheme, counted in the source of `physics.stepping`.
# A multiply-add counts as two operations; comparisons, selections and bounds do not count. The
# bytes are the voltage, gates and couplings that an update must read and write.
UPDATE_COSTS = {"plain": (49, 32), "default": (67, 40)}

Outcomes = list[dict[str, Any]]


def benchmark_solver(
    config: LibraryConfig,
    folder: Path,
    *,
    rounds: int,
    cases_per_condition: int,
    finitewave_python: str | None,
) -> None:
    """Measure the solver and write `report.txt` and `metrics.json`, again after every case.

    Args:
        config: configuration of the library from which the cases are drawn.
        folder: result folder.
        rounds: number of interleaved timing rounds.
        cases_per_condition: cases of each condition on which accuracy is measured; 0 for none.
        finitewave_python: Python interpreter with Finitewave installed, or None to leave it out.

    Raises:
        ConfigError: the interpreter cannot run Finitewave.
    """
    logger.info("timing the step in %d rounds", rounds)
    speed = solver_speed(rounds, finitewave_python)
    outcomes: Outcomes = []
    _publish(folder, speed, outcomes)
    for case_outcomes in solver_accuracy(config, TARGETS, cases_per_condition):
        outcomes += case_outcomes
        _publish(folder, speed, outcomes)


def _publish(folder: Path, speed: dict[str, float], outcomes: Outcomes) -> None:
    shares: dict[str, float] = {}
    for scheme, (operations, transferred) in UPDATE_COSTS.items():
        updates_per_ns = speed[f"{scheme}_mnu_per_s"] / 1e3
        shares[f"{scheme}_arithmetic"] = operations * updates_per_ns / speed["fma_gflop_per_s"]
        bandwidth = transferred * updates_per_ns / speed["triad_l2_gb_per_s"]
        shares[f"{scheme}_l2_bandwidth"] = bandwidth
    speedups = _speedups(outcomes)
    metrics = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "speed": speed,
        "shares": shares,
        "accuracy": outcomes,
        "cost_over_plain": speedups,
    }
    report = _speed_report(speed, shares)
    if outcomes:
        report += _accuracy_report(outcomes, speedups)
    publish(folder, metrics, report)


def _speedups(outcomes: Outcomes) -> dict[str, float]:
    """Return the speed-up of each setting over the plain scheme, in total CPU time."""
    seconds: dict[str, float] = {}
    for outcome in outcomes:
        setting = outcome["setting"]
        seconds[setting] = seconds.get(setting, 0.0) + outcome["core_seconds"]
    return {setting: seconds[PLAIN] / spent for setting, spent in seconds.items()}


def _speed_report(speed: dict[str, float], shares: dict[str, float]) -> list[str]:
    rates = {scheme: speed[f"{scheme}_mnu_per_s"] for scheme in UPDATE_COSTS}
    lines = ["One core, 400 x 400 cells of which a fifth do not conduct, no tissue skipped"]
    for scheme, rate in rates.items():
        lines.append(
            f"  {scheme:11s}{rate:7.0f} million node updates per second, "
            f"{shares[f'{scheme}_arithmetic']:.0%} of the arithmetic, "
            f"{shares[f'{scheme}_l2_bandwidth']:.0%} of the L2 bandwidth"
        )
    finitewave = speed.get("finitewave_mnu_per_s")
    if finitewave:
        ratios = ", ".join(f"{each} {rate / finitewave:.1f} times" for each, rate in rates.items())
        lines.append(
            f"  finitewave {finitewave:7.1f} million node updates per second (float64): {ratios}"
        )
    return [
        *lines,
        f"  ECG at one electrode: {speed['ecg_ms_per_frame']:.3f} ms per frame",
        f"  throughput of two processes: {speed['two_processes_over_one']:.2f} times that of one",
        f"  machine: {speed['fma_gflop_per_s']:.0f} GFLOP/s float32; triad "
        f"{speed['triad_l1_gb_per_s']:.0f} GB/s in L1, {speed['triad_l2_gb_per_s']:.0f} in L2, "
        f"{speed['triad_memory_gb_per_s']:.0f} in memory",
    ]


def _accuracy_report(outcomes: Outcomes, speedups: dict[str, float]) -> list[str]:
    lines = [
        "",
        f"{len(outcomes) // len(speedups)} cases, CPU time per case; plain scheme at 5 % + 1 % CV "
        "error",
        "  target    seconds    speedup   skipped      ECG time   ECG R2, least activation error"
        "  CV error",
    ]
    for setting, speedup in speedups.items():
        chosen = [outcome for outcome in outcomes if outcome["setting"] == setting]
        column = {name: [outcome[name] for outcome in chosen] for name in chosen[0]}
        lines.append(
            f"  {setting:8s}{mean(column['core_seconds']):9.2f}{speedup:9.1f} x"
            f"{mean(column['skipped_share']):10.0%}{mean(column['ecg_share']):14.1%}"
            f"{min(column['ecg_r2']):16.5f}{median(column['activation_error_ms']):14.2f} ms"
            f"{median(column['velocity_error']):10.1%}"
        )
    return lines
