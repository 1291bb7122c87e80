"""Result of a search: main numbers, importance of the varied keys, and report.

The importance of a key is the fraction of the variance that the key alone explains in the ranks of
the trials' R^2. A linear regression predicts the ranks from the key's coordinate and its square or,
for a choice, from one indicator per value. The importance is the R^2 of this regression, adjusted
for the number of coefficients, and at least 0. It does not show interactions between keys, and a
result from few trials is mostly noise.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from fwdecg.evaluation.report import aligned_lines
from fwdecg.runtime.progress import duration_text
from fwdecg.tuning.search_space import CHOICE, Dimension, short_name, value_text
from fwdecg.tuning.trials import FAILED, TrialRecord, pareto_front, r2_text
from fwdecg.tuning.tuning_config import TuningConfig

# Required number of trials beyond the coefficients; an adjusted R^2 from fewer is mere noise.
MIN_DEGREES_OF_FREEDOM = 4


def search_metrics(
    tuning: TuningConfig, epochs: int, trials: Sequence[TrialRecord], best: TrialRecord
) -> dict[str, Any]:
    """Return the main numbers of a search as plain values.

    Args:
        tuning: configuration of the search.
        epochs: number of epochs of a trial that is not stopped.
        trials: records of all trials.
        best: the trial with the highest validation R^2.
    """
    spent = sum(len(trial.history) for trial in trials)
    return {
        "trials": {"asked": tuning.trials} | Counter(trial.status for trial in trials),
        "best": {
            "trial": best.number,
            "status": best.status,
            "settings": best.settings,
            "best_validation_r2": best.best_r2,
            "best_epoch": best.best_epoch,
            "parameters": best.parameters,
            "seconds_per_epoch": best.seconds_per_epoch,
        },
        "epochs": {
            "of_a_whole_trial": epochs,
            "spent": spent,
            "of_all_trials_whole": epochs * len(trials),
            "share": spent / (epochs * len(trials)),
        },
        "seconds_of_epochs": round(sum(trial.seconds for trial in trials), 1),
        "importance": importances(tuning.dimensions, trials, min(tuning.grace_period, epochs)),
        "pareto_front": [trial.number for trial in pareto_front(trials, "parameters")],
    }


def importances(
    space: Sequence[Dimension], trials: Sequence[TrialRecord], epochs: int
) -> dict[str, float | None]:
    """Return the importance of each key; None if too few trials can be compared.

    Args:
        space: dimensions of the search space.
        trials: records of the trials; failed trials and trials with fewer epochs do not count.
        epochs: number of epochs after which the trials are compared.
    """
    compared = [trial for trial in trials if trial.usable and len(trial.history) >= epochs]
    ranks = rankdata([trial.history[epochs - 1].best_r2 for trial in compared])
    return {
        dimension.name: adjusted_r2(
            _regressors(dimension, [trial.settings[dimension.name] for trial in compared]), ranks
        )
        for dimension in space
    }


def adjusted_r2(
    regressors: Float[np.ndarray, "trial coefficient"], outcome: Float[np.ndarray, " trial"]
) -> float | None:
    """Return the adjusted R^2 of a linear regression with intercept, at least 0.

    Linearly dependent regressors do not count as coefficients.

    Returns:
        None if the outcome is constant or there are too few trials.
    """
    trials = len(outcome)
    design = np.column_stack([np.ones(trials), regressors])
    fitted, _, rank, _ = np.linalg.lstsq(design, outcome, rcond=None)
    total = float(np.square(outcome - outcome.mean()).sum()) if trials else 0.0
    degrees = trials - int(rank)
    if degrees < MIN_DEGREES_OF_FREEDOM or total == 0.0:
        return None
    residual = float(np.square(outcome - design @ fitted).sum())
    return max(0.0, 1.0 - (residual / degrees) / (total / (trials - 1)))


def _regressors(
    dimension: Dimension, values: Sequence[object]
) -> Float[np.ndarray, "trial coefficient"]:
    coordinates = np.array([dimension.coordinate(value) for value in values])
    if dimension.kind == CHOICE:
        return (coordinates[:, None] == np.arange(1, len(dimension.values))).astype(float)
    low, high = (dimension.coordinate(end) for end in dimension.values)
    x = (coordinates - low) / (high - low)
    return np.column_stack([x, x**2])


def report_text(
    tuning: TuningConfig, trials: Sequence[TrialRecord], metrics: dict[str, Any]
) -> str:
    """Return the report: the best trial, epochs spent, importance of the keys, all trials.

    Args:
        tuning: configuration of the search.
        trials: records of all trials.
        metrics: return value of `search_metrics`.
    """
    best, epochs = metrics["best"], metrics["epochs"]
    whole = epochs["of_a_whole_trial"]
    counts = Counter(trial.status for trial in trials)
    ended = [f"{count} {status}" for status, count in counts.items()]
    if len(trials) < tuning.trials:
        ended.append(f"{tuning.trials - len(trials)} not started")
    lines = [
        f"best validation R2 {r2_text(best['best_validation_r2'])}: trial {best['trial']}, "
        f"{best['status']}, epoch {best['best_epoch']} of {whole}, {best['parameters']} parameters",
        *(f"  {name} = {value_text(value)}" for name, value in best["settings"].items()),
        "",
        f"{tuning.trials} trials: {', '.join(ended)}",
        f"{epochs['spent']} epochs of the {epochs['of_all_trials_whole']} epochs without early "
        f"stopping ({epochs['share']:.0%}), {duration_text(metrics['seconds_of_epochs'])} of "
        "training",
        "",
        f"importance: fraction of the variance of the ranks of R2 after "
        f"{min(tuning.grace_period, whole)} epochs that one key explains alone",
        *(
            f"  {name}: {'too few trials' if value is None else f'{value:.2f}'}"
            for name, value in metrics["importance"].items()
        ),
        "",
        "trials from best to worst; * no trial with fewer parameters is better",
        *_trial_lines(trials, metrics["pareto_front"]),
        *(f"  trial {t.number} failed: {t.reason}" for t in trials if t.status == FAILED),
    ]
    return "\n".join(lines) + "\n"


def _trial_lines(trials: Sequence[TrialRecord], front: Sequence[int]) -> list[str]:
    names = list(trials[0].settings)
    head = ["trial", "status", "epochs", "best R2", "parameters", "s/epoch"]
    rows = [[*head, *map(short_name, names)]]
    for trial in sorted(trials, key=lambda t: (not t.usable, -(t.best_r2 or 0.0), t.number)):
        seconds = trial.seconds_per_epoch
        rows.append(
            [
                f"{trial.number}{'*' if trial.number in front else ''}",
                trial.status,
                str(len(trial.history)),
                "-" if trial.best_r2 is None else r2_text(trial.best_r2),
                "-" if trial.parameters is None else str(trial.parameters),
                "-" if seconds is None else f"{seconds:.2f}",
                *(value_text(trial.settings[name]) for name in names),
            ]
        )
    return [f"  {line}" for line in aligned_lines(rows)]
