"""The benefit of early stopping: the trials of a search, replayed with and without ASHA.

If every trial of a search ran to its last epoch, its learning curves determine what any stopping
rule would have done. The trials are replayed in many random orders. In each order Ray Tune's ASHA
and random search without stopping spend the same number of epochs, and the best R^2 that each finds
is compared.

Axes: N trial, K epoch.
"""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import Float, Int
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from fwdecg.errors import ResultError
from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store
from fwdecg.tuning.tuning_config import TuningConfig

EPOCH, R2 = "epoch", "r2"


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The result of one order of the trials.

    Attributes:
        epochs: total number of epochs that ASHA spent.
        asha_r2: best R^2 that ASHA found.
        unstopped_r2: best R^2 found with as many epochs without stopping.
    """

    epochs: int
    asha_r2: float
    unstopped_r2: float


def benchmark_search(
    table: Path, tuning: TuningConfig, folder: Path, *, replays: int, concurrency: int
) -> None:
    """Replay a search and write `report.txt` and `metrics.json`.

    Args:
        table: trials.parquet of a search whose grace period equalled its number of epochs.
        tuning: search settings; they determine the rungs of the replayed ASHA.
        folder: result folder.
        replays: number of random orders of the trials.
        concurrency: number of trials that run concurrently.

    Raises:
        ResultError: the table does not exist, or a trial in it stopped before the last epoch.
    """
    curves = read_curves(table)
    rng = np.random.default_rng(tuning.seed)
    results = [
        replay(curves, rng.permutation(len(curves)), tuning, concurrency) for _ in range(replays)
    ]
    _publish(Store.at(folder), curves, results)


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
    return Replay(
        epochs=spent, asha_r2=best, unstopped_r2=_best_without_stopping(curves[order], spent)
    )


def _trial(number: int) -> Any:
    """Return a trial with the one attribute that the scheduler reads."""
    return SimpleNamespace(trial_id=str(number))


def _best_without_stopping(curves: Float[np.ndarray, "N K"], epochs: int) -> float:
    """Return the best R^2 of full trials in sequence, the last one cut when the epochs run out."""
    whole, rest = divmod(epochs, curves.shape[1])
    reached = [*curves[:whole, -1], *(curves[whole : whole + 1, rest - 1] if rest else ())]
    return float(max(reached))


def _publish(store: Store, curves: Float[np.ndarray, "N K"], results: list[Replay]) -> None:
    trials, epochs = curves.shape
    spent = np.array([result.epochs for result in results])
    asha = np.array([result.asha_r2 for result in results])
    unstopped = np.array([result.unstopped_r2 for result in results])
    best = float(curves.max())
    ahead, behind = np.mean(asha > unstopped), np.mean(asha < unstopped)
    metrics = {
        "trials": trials,
        "epochs_per_trial": epochs,
        "replays": len(results),
        "epochs_of_all_trials": trials * epochs,
        "mean_epochs_spent": float(spent.mean()),
        "best_r2_of_all": best,
        "mean_best_r2": {"asha": float(asha.mean()), "without": float(unstopped.mean())},
        "share_that_found_the_best": {
            "asha": float(np.mean(asha >= best)),
            "without": float(np.mean(unstopped >= best)),
        },
        "share_asha_ahead": float(ahead),
        "share_asha_behind": float(behind),
    }
    store.publish_json(METRICS_FILE, metrics)
    lines = [
        f"{trials} trials of {epochs} epochs, replayed in {len(results)} orders",
        f"  ASHA spends {spent.mean():.0f} of {trials * epochs} epochs on average",
        f"  {'at equal epochs':24s}{'mean best R2':>14s}{'found the best':>16s}",
        f"  {'ASHA':24s}{asha.mean():14.4f}{np.mean(asha >= best):16.0%}",
        f"  {'without stopping':24s}{unstopped.mean():14.4f}{np.mean(unstopped >= best):16.0%}",
        f"  ASHA ahead in {ahead:.0%}, behind in {behind:.0%}; best of all trials {best:.4f}",
    ]
    store.publish(REPORT_FILE, "\n".join(lines) + "\n")
