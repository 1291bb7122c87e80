"""The benefit of early stopping: the trials of a search, replayed with and without ASHA.

If every trial of a search ran to its last epoch, its learning curves determine what any stopping
rule would have done. The trials are replayed in many random orders. In each order Ray Tune's ASHA
and random search without stopping spend the same number of epochs, and the best R^2 that each finds
is compared.

Axes: N trial, K epoch.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import Float, Int
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from fwdecg.benchmarks.timing import publish
from fwdecg.errors import ResultError
from fwdecg.tuning.tuning_config import TuningConfig

EPOCH, R2 = "epoch", "r2"


class Replay(NamedTuple):
    """The result of one order of the trials."""

    epochs: int  # number of epochs that ASHA spent
    asha_r2: float  # best R^2 that ASHA found
    unstopped_r2: float  # best R^2 found with as many epochs without stopping


def benchmark_search(
    table: Path, tuning: TuningConfig, folder: Path, *, replays: int, concurrency: int
) -> None:
    """Replay a search in random orders of its trials.

    Args:
        table: trials.parquet of a search whose grace period equalled its number of epochs.
        tuning: search settings; they determine the rungs of the replayed ASHA.
        folder: result folder, in which `report.txt` and `metrics.json` are written.
        replays: number of random orders of the trials.
        concurrency: number of trials that run concurrently.

    Raises:
        ResultError: the table does not exist, or a trial in it stopped before the last epoch.
    """
    curves = read_curves(table)
    trials, epochs = curves.shape
    best = float(curves.max())
    rng = np.random.default_rng(tuning.seed)
    results = [replay(curves, rng.permutation(trials), tuning, concurrency) for _ in range(replays)]
    spent, asha, unstopped = np.array(results).T
    metrics: dict[str, Any] = {
        "trials": trials,
        "epochs_per_trial": epochs,
        "replays": replays,
        "epochs_of_all_trials": trials * epochs,
        "mean_epochs_spent": float(spent.mean()),
        "best_r2_of_all": best,
        "mean_best_r2": {"asha": float(asha.mean()), "without": float(unstopped.mean())},
        "share_that_found_the_best": {
            "asha": float(np.mean(asha >= best)),
            "without": float(np.mean(unstopped >= best)),
        },
        "share_asha_ahead": float(np.mean(asha > unstopped)),
        "share_asha_behind": float(np.mean(asha < unstopped)),
    }
    report = [
        f"{trials} trials of {epochs} epochs, replayed in {replays} orders",
        f"  ASHA spends {spent.mean():.0f} of {trials * epochs} epochs on average",
        f"  {'at equal epochs':24s}{'mean best R2':>14s}{'found the best':>16s}",
        *(
            f"  {label:24s}{metrics['mean_best_r2'][name]:14.4f}"
            f"{metrics['share_that_found_the_best'][name]:16.0%}"
            for name, label in (("asha", "ASHA"), ("without", "without stopping"))
        ),
        f"  ASHA ahead in {metrics['share_asha_ahead']:.0%}, "
        f"behind in {metrics['share_asha_behind']:.0%}; best of all trials {best:.4f}",
    ]
    publish(folder, metrics, report)


def read_curves(table: Path) -> Float[np.ndarray, "N K"]:
    """Return the best validation R^2 of each trial up to each epoch.

    Raises:
        ResultError: the table does not exist, or a trial in it stopped before the last epoch.
    """
    if not table.is_file():
        raise ResultError(f"{table}: no such file; run the job tune first")
    curves = [row for row in pq.read_table(table)["validation_r2"].to_pylist() if row]
    if not curves or len({len(curve) for curve in curves}) > 1:
        raise ResultError(
            f"{table}: the trials have different numbers of epochs; search again with "
            "tuning.grace_period = the number of epochs and another tuning.path"
        )
    return np.maximum.accumulate(np.array(curves), axis=1)


def replay(
    curves: Float[np.ndarray, "N K"],
    order: Int[np.ndarray, " N"],
    tuning: TuningConfig,
    concurrency: int,
) -> Replay:
    """Replay both searches in one order of the trials.

    Args:
        curves: best validation R^2 of each trial up to each epoch.
        order: numbers of the trials in the order in which they start.
        tuning: search settings; they determine the rungs of ASHA.
        concurrency: number of trials that run concurrently.
    """
    epochs = curves.shape[1]
    scheduler: Any = ASHAScheduler(  # called without a controller, which it does not use
        time_attr=EPOCH,
        metric=R2,
        mode="max",
        max_t=epochs,
        grace_period=tuning.grace_period,
        reduction_factor=tuning.reduction_factor,
        brackets=tuning.brackets,
    )
    waiting = [int(number) for number in order]
    running: dict[int, int] = {}  # epochs that each running trial has trained
    spent, best = 0, -np.inf
    while waiting or running:
        while waiting and len(running) < concurrency:
            running[waiting[0]] = 0
            scheduler.on_trial_add(None, _trial(waiting.pop(0)))
        for number in list(running):
            running[number] += 1
            spent += 1
            result = {EPOCH: running[number], R2: float(curves[number, running[number] - 1])}
            best = max(best, result[R2])
            decision = scheduler.on_trial_result(None, _trial(number), result)
            if decision == TrialScheduler.STOP or running[number] == epochs:
                del running[number]
    return Replay(spent, best, _best_without_stopping(curves[order], spent))


def _trial(number: int) -> Any:
    """Return a trial with the one attribute that the scheduler reads."""
    return SimpleNamespace(trial_id=str(number))


def _best_without_stopping(curves: Float[np.ndarray, "N K"], epochs: int) -> float:
    """Return the best R^2 of full trials in sequence, the last one cut when the epochs run out."""
    whole, rest = divmod(epochs, curves.shape[1])
    reached = [*curves[:whole, -1], *(curves[whole : whole + 1, rest - 1] if rest else ())]
    return float(max(reached))
