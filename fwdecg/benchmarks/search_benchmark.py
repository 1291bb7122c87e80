"""What stopping early is worth: a search's own trials, replayed with and without it.

A search whose trials all went to their last epoch knows what any stopping rule would have seen.
Replayed in many orders, Ray Tune's ASHA and plain random search spend the same number of epochs on
the same trials, and the best R^2 that each finds is compared.

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
    """One order of the trials.

    Attributes:
        epochs: that ASHA spent on all trials.
        halving_r2: the best it found.
        plain_r2: the best of so many epochs without stopping.
    """

    epochs: int
    halving_r2: float
    plain_r2: float


def benchmark_search(
    table: Path, tuning: TuningConfig, folder: Path, *, replays: int, at_once: int
) -> None:
    """Replay a search, and leave `report.txt` and `metrics.json` in a folder.

    Args:
        table: trials.parquet of a search whose grace period was its number of epochs.
        tuning: gives the rungs of the replayed ASHA.
        folder: where the result goes.
        replays: orders of the trials.
        at_once: trials that run beside each other.

    Raises:
        ResultError: there is no such table, or a trial in it did not come to the last epoch.
    """
    curves = read_curves(table)
    rng = np.random.default_rng(tuning.seed)
    found = [replay(curves, rng.permutation(len(curves)), tuning, at_once) for _ in range(replays)]
    _publish(Store.at(folder), curves, found)


def read_curves(table: Path) -> Float[np.ndarray, "N K"]:
    """Best validation R^2 until each epoch, of each trial.

    Raises:
        ResultError: as `benchmark_search`.
    """
    if not table.is_file():
        raise ResultError(f"{table}: no such file; search with the job tune first")
    curves = [row for row in pq.read_table(table)["validation_r2"].to_pylist() if row]
    if not curves or len({len(curve) for curve in curves}) > 1:
        raise ResultError(
            f"{table}: trials of different numbers of epochs; search with tuning.grace_period = "
            "the number of epochs and another tuning.path"
        )
    return np.maximum.accumulate(np.array(curves), axis=1)


def replay(
    curves: Float[np.ndarray, "N K"],
    order: Int[np.ndarray, " N"],
    tuning: TuningConfig,
    at_once: int,
) -> Replay:
    """Both searches in one order of the trials, `at_once` of which run beside each other."""
    epochs = curves.shape[1]
    scheduler: Any = ASHAScheduler(  # asked without a controller, which it has no use for
        time_attr=EPOCH,
        metric=R2,
        mode="max",
        max_t=epochs,
        grace_period=tuning.grace_period,
        reduction_factor=tuning.reduction_factor,
        brackets=tuning.brackets,
    )
    waiting = [int(number) for number in order]
    running: dict[int, int] = {}  # epochs of trials
    spent, best = 0, -np.inf
    while waiting or running:
        while waiting and len(running) < at_once:
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
    return Replay(epochs=spent, halving_r2=best, plain_r2=_without_stopping(curves[order], spent))


def _trial(number: int) -> Any:
    """All of a trial that the scheduler asks for."""
    return SimpleNamespace(trial_id=str(number))


def _without_stopping(curves: Float[np.ndarray, "N K"], epochs: int) -> float:
    """The best of whole trials one after the other, the last one cut where the epochs end."""
    whole, rest = divmod(epochs, curves.shape[1])
    seen = [*curves[:whole, -1], *(curves[whole : whole + 1, rest - 1] if rest else ())]
    return float(max(seen))


def _publish(store: Store, curves: Float[np.ndarray, "N K"], found: list[Replay]) -> None:
    trials, epochs = curves.shape
    spent = np.array([one.epochs for one in found])
    halving = np.array([one.halving_r2 for one in found])
    plain = np.array([one.plain_r2 for one in found])
    best = float(curves.max())
    ahead, behind = np.mean(halving > plain), np.mean(halving < plain)
    metrics = {
        "trials": trials,
        "epochs_per_trial": epochs,
        "replays": len(found),
        "epochs_of_all_trials": trials * epochs,
        "mean_epochs_spent": float(spent.mean()),
        "best_r2_of_all": best,
        "mean_best_r2": {"asha": float(halving.mean()), "without": float(plain.mean())},
        "share_that_found_the_best": {
            "asha": float(np.mean(halving >= best)),
            "without": float(np.mean(plain >= best)),
        },
        "share_asha_ahead": float(ahead),
        "share_asha_behind": float(behind),
    }
    store.publish_json(METRICS_FILE, metrics)
    lines = [
        f"{trials} trials of {epochs} epochs, replayed in {len(found)} orders",
        f"  ASHA spends {spent.mean():.0f} of {trials * epochs} epochs on average",
        f"  {'for these epochs':24s}{'mean best R2':>14s}{'found the best':>16s}",
        f"  {'ASHA':24s}{halving.mean():14.4f}{np.mean(halving >= best):16.0%}",
        f"  {'without stopping':24s}{plain.mean():14.4f}{np.mean(plain >= best):16.0%}",
        f"  ASHA ahead in {ahead:.0%}, behind in {behind:.0%}; best of all trials {best:.4f}",
    ]
    store.publish(REPORT_FILE, "\n".join(lines) + "\n")
