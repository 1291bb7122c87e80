"""The benchmark of the solver: all its figures in one run, as a report and as JSON."""

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

# Of one update, counted in the source: arithmetic (a multiply-add is two; comparisons, selections
# and bounds are left out), and bytes of voltage, gates and couplings that it must read and write.
OPERATIONS = {"plain": 49, "default": 67}
BYTES = {"plain": 32, "default": 40}


def benchmark_solver(
    config: LibraryConfig,
    folder: Path,
    *,
    turns: int,
    cases_per_condition: int,
    peer_python: str | None,
) -> None:
    """Measure, and leave `report.txt` and `metrics.json` in a folder, anew after every case.

    Args:
        config: the library whose cases are solved.
        folder: where the result goes.
        turns: how often what is compared is timed.
        cases_per_condition: size of the sample for accuracy; 0 for none.
        peer_python: a Python that has Finitewave, or None.

    Raises:
        ConfigError: that Python does not run Finitewave.
    """
    logger.info("timing the step, %d turns", turns)
    speed = solver_speed(turns, peer_python)
    outcomes: list[Outcome] = []
    _publish(folder, speed, outcomes)
    for of_a_case in solver_accuracy(config, TARGETS, cases_per_condition):
        outcomes += of_a_case
        _publish(folder, speed, outcomes)


def _publish(folder: Path, speed: dict[str, float], outcomes: list[Outcome]) -> None:
    metrics = {
        "machine": _machine(),
        "speed": speed,
        "shares": _shares(speed),
        "accuracy": [asdict(outcome) for outcome in outcomes],
        "cost_over_plain": _gains(outcomes),
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


def _shares(speed: dict[str, float]) -> dict[str, float]:
    """Share of the machine's arithmetic and of its nearest large cache's bandwidth reached."""
    shares: dict[str, float] = {}
    for scheme, operations in OPERATIONS.items():
        updates_per_s = speed[f"{scheme}_mnu_per_s"] * 1e6
        arithmetic = operations * updates_per_s / 1e9 / speed["fma_gflop_per_s"]
        bandwidth = BYTES[scheme] * updates_per_s / 1e9 / speed["triad_l2_gb_per_s"]
        shares |= {f"{scheme}_arithmetic": arithmetic, f"{scheme}_l2_bandwidth": bandwidth}
    return shares


def _gains(outcomes: list[Outcome]) -> dict[str, float]:
    """How many times less processor time than the plain scheme each setting takes, in all."""
    seconds: dict[str, float] = {}
    for outcome in outcomes:
        seconds[outcome.setting] = seconds.get(outcome.setting, 0.0) + outcome.core_seconds
    return {setting: seconds[PLAIN] / spent for setting, spent in seconds.items()}


def _speed_lines(metrics: dict[str, Any]) -> list[str]:
    speed, shares = metrics["speed"], metrics["shares"]
    lines = [
        "One core, 400 x 400 cells, a fifth of them holes, nothing skipped",
        *(
            f"  {scheme:11s}{speed[f'{scheme}_mnu_per_s']:7.0f} million node updates per second, "
            f"{shares[f'{scheme}_arithmetic']:.0%} of the arithmetic, "
            f"{shares[f'{scheme}_l2_bandwidth']:.0%} of the L2 bandwidth"
            for scheme in OPERATIONS
        ),
    ]
    if "finitewave_mnu_per_s" in speed:
        peer = speed["finitewave_mnu_per_s"]
        ratios = ", ".join(
            f"{scheme} {speed[f'{scheme}_mnu_per_s'] / peer:.1f} times" for scheme in OPERATIONS
        )
        lines.append(
            f"  finitewave {peer:7.1f} million node updates per second (float64): {ratios}"
        )
    return [
        *lines,
        f"  two processes: {speed['two_processes_over_one']:.2f} times one",
        f"  machine: {speed['fma_gflop_per_s']:.0f} GFLOP/s float32; triad "
        f"{speed['triad_l1_gb_per_s']:.0f} GB/s in L1, {speed['triad_l2_gb_per_s']:.0f} in L2, "
        f"{speed['triad_memory_gb_per_s']:.0f} in memory",
    ]


def _accuracy_lines(outcomes: list[Outcome]) -> list[str]:
    if not outcomes:
        return []
    gains = _gains(outcomes)
    cases = len(outcomes) // len(gains)
    lines = [
        "",
        f"{cases} cases, processor time each, against the plain scheme at 5 % + 1 % CV error",
        "  target    seconds    less by   skipped   ECG's share   ECG R2, least   activation off"
        "    CV off",
    ]
    for setting, gain in gains.items():
        chosen = [outcome for outcome in outcomes if outcome.setting == setting]
        lines.append(
            f"  {setting:8s}{np.mean([c.core_seconds for c in chosen]):9.2f}{gain:9.1f} x"
            f"{np.mean([c.skipped_share for c in chosen]):10.0%}"
            f"{np.mean([c.ecg_share for c in chosen]):14.1%}"
            f"{min(c.ecg_r2 for c in chosen):16.5f}"
            f"{median(c.activation_error_ms for c in chosen):14.2f} ms"
            f"{median(c.velocity_error for c in chosen):10.1%}"
        )
    return lines
