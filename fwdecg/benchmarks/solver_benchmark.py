"""The benchmark of the solver: speed, share of the machine's limits, and cost of accuracy."""

import logging
import os
import platform
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from fwdecg.benchmarks.solver_accuracy import PLAIN, Outcome, solver_accuracy
from fwdecg.benchmarks.solver_speed import solver_speed
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store

logger = logging.getLogger(__name__)

TARGETS = (0.01, 0.02, 0.03, 0.05)

# Per node update, counted in the source of `physics.stepping`. A multiply-add counts as two
# operations; comparisons, selections and bounds do not count. The bytes are those of voltage, gates
# and couplings that an update must read and write.
OPERATIONS = {"plain": 49, "default": 67}
BYTES = {"plain": 32, "default": 40}


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
    outcomes: list[Outcome] = []
    _publish(folder, speed, outcomes)
    for case_outcomes in solver_accuracy(config, TARGETS, cases_per_condition):
        outcomes += case_outcomes
        _publish(folder, speed, outcomes)


def _publish(folder: Path, speed: dict[str, float], outcomes: list[Outcome]) -> None:
    metrics = {
        "machine": _machine(),
        "speed": speed,
        "shares": _fractions_of_limits(speed),
        "accuracy": [asdict(outcome) for outcome in outcomes],
        "cost_over_plain": _speedups(outcomes),
    }
    store = Store.at(folder)
    store.publish_json(METRICS_FILE, metrics)
    text = "\n".join([*_speed_lines(metrics), *_accuracy_lines(outcomes)]) + "\n"
    store.publish(REPORT_FILE, text)


def _machine() -> dict[str, Any]:
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _fractions_of_limits(speed: dict[str, float]) -> dict[str, float]:
    """Return the fractions of peak arithmetic and of L2 bandwidth that each scheme reaches."""
    fractions: dict[str, float] = {}
    for scheme, operations in OPERATIONS.items():
        updates_per_s = speed[f"{scheme}_mnu_per_s"] * 1e6
        arithmetic = operations * updates_per_s / 1e9 / speed["fma_gflop_per_s"]
        bandwidth = BYTES[scheme] * updates_per_s / 1e9 / speed["triad_l2_gb_per_s"]
        fractions |= {f"{scheme}_arithmetic": arithmetic, f"{scheme}_l2_bandwidth": bandwidth}
    return fractions


def _speedups(outcomes: list[Outcome]) -> dict[str, float]:
    """Return the total CPU time of the plain scheme over that of each setting."""
    seconds: dict[str, float] = {}
    for outcome in outcomes:
        seconds[outcome.setting] = seconds.get(outcome.setting, 0.0) + outcome.core_seconds
    return {setting: seconds[PLAIN] / spent for setting, spent in seconds.items()}


def _speed_lines(metrics: dict[str, Any]) -> list[str]:
    speed, shares = metrics["speed"], metrics["shares"]
    lines = [
        "One core, 400 x 400 cells of which a fifth do not conduct, no tissue skipped",
        *(
            f"  {scheme:11s}{speed[f'{scheme}_mnu_per_s']:7.0f} million node updates per second, "
            f"{shares[f'{scheme}_arithmetic']:.0%} of the arithmetic, "
            f"{shares[f'{scheme}_l2_bandwidth']:.0%} of the L2 bandwidth"
            for scheme in OPERATIONS
        ),
    ]
    if "finitewave_mnu_per_s" in speed:
        finitewave = speed["finitewave_mnu_per_s"]
        ratios = ", ".join(
            f"{scheme} {speed[f'{scheme}_mnu_per_s'] / finitewave:.1f} times"
            for scheme in OPERATIONS
        )
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


def _accuracy_lines(outcomes: list[Outcome]) -> list[str]:
    if not outcomes:
        return []
    speedups = _speedups(outcomes)
    cases = len(outcomes) // len(speedups)
    lines = [
        "",
        f"{cases} cases, CPU time per case; plain scheme at 5 % + 1 % CV error",
        "  target    seconds    speedup   skipped      ECG time   ECG R2, least activation error"
        "  CV error",
    ]
    for setting, speedup in speedups.items():
        chosen = [outcome for outcome in outcomes if outcome.setting == setting]
        lines.append(
            f"  {setting:8s}{np.mean([c.core_seconds for c in chosen]):9.2f}{speedup:9.1f} x"
            f"{np.mean([c.skipped_share for c in chosen]):10.0%}"
            f"{np.mean([c.ecg_share for c in chosen]):14.1%}"
            f"{min(c.ecg_r2 for c in chosen):16.5f}"
            f"{median(c.activation_error_ms for c in chosen):14.2f} ms"
            f"{median(c.velocity_error for c in chosen):10.1%}"
        )
    return lines
