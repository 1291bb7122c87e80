"""Result of a search: main numbers, report and figures."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fwdecg.evaluation.report import aligned_lines
from fwdecg.pictures.tuning_figures import (
    CostPanel,
    ParameterPanel,
    TrialCurve,
    plot_cost,
    plot_curves,
    plot_parameters,
)
from fwdecg.runtime.progress import duration_text
from fwdecg.tuning.importance import importances
from fwdecg.tuning.search_space import CHOICE, LOGUNIFORM, Dimension, short_name, value_text
from fwdecg.tuning.trials import FAILED, TrialRecord, r2_text
from fwdecg.tuning.tuning_config import TuningConfig

# Importance of each varied key; None if too few trials can be compared.
Importance = Mapping[str, float | None]


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
        "importance": importances(
            tuning.dimensions, trials, epochs=_compared_epoch(tuning, epochs)
        ),
        "pareto_front": [trial.number for trial in _front(trials, _parameters)],
    }


def _compared_epoch(tuning: TuningConfig, epochs: int) -> int:
    """Return the last epoch that every trial reaches unless it fails."""
    return min(tuning.grace_period, epochs)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the (cost, gain) that no other point beats in both, by rising cost."""
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if not front or points[index][1] > points[front[-1]][1]:
            front.append(index)
    return front


def _front(
    trials: Sequence[TrialRecord], cost: Callable[[TrialRecord], float]
) -> list[TrialRecord]:
    """Return the usable trials of which none with a lower cost has a higher R^2."""
    usable = [trial for trial in trials if trial.usable and not np.isnan(cost(trial))]
    points = [(cost(trial), trial.best_r2 or 0.0) for trial in usable]
    return [usable[index] for index in pareto_front(points)]


def _parameters(trial: TrialRecord) -> float:
    return np.nan if trial.parameters is None else float(trial.parameters)


def _seconds_per_epoch(trial: TrialRecord) -> float:
    return np.nan if trial.seconds_per_epoch is None else trial.seconds_per_epoch


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
    compared = _compared_epoch(tuning, epochs["of_a_whole_trial"])
    lines = [
        f"best validation R2 {r2_text(best['best_validation_r2'])}: trial {best['trial']}, "
        f"{best['status']}, epoch {best['best_epoch']} of {epochs['of_a_whole_trial']}, "
        f"{best['parameters']} parameters",
        *(f"  {name} = {value_text(value)}" for name, value in best["settings"].items()),
        "",
        _counts_text(metrics["trials"]),
        f"{epochs['spent']} epochs of the {epochs['of_all_trials_whole']} epochs without early "
        f"stopping ({epochs['share']:.0%}), {duration_text(metrics['seconds_of_epochs'])} of "
        "training",
        "",
        f"importance: fraction of the variance of the ranks of R2 after {compared} epochs that "
        "one key explains alone",
        *(f"  {name}: {_importance_text(value)}" for name, value in metrics["importance"].items()),
        "",
        "trials from best to worst; * no trial with fewer parameters is better",
        *_trial_lines(trials, set(metrics["pareto_front"])),
    ]
    failures = [trial for trial in trials if trial.status == FAILED]
    lines += [f"  trial {trial.number} failed: {trial.reason}" for trial in failures]
    return "\n".join(lines) + "\n"


def _counts_text(counts: dict[str, int]) -> str:
    started = {status: count for status, count in counts.items() if status != "asked"}
    parts = ", ".join(f"{count} {status}" for status, count in started.items())
    missing = counts["asked"] - sum(started.values())
    return f"{counts['asked']} trials: {parts}" + (f", {missing} not started" if missing else "")


def _importance_text(importance: float | None) -> str:
    return "too few trials" if importance is None else f"{importance:.2f}"


def _trial_lines(trials: Sequence[TrialRecord], front: set[int]) -> list[str]:
    ranked = sorted(trials, key=lambda t: (not t.usable, -(t.best_r2 or 0.0), t.number))
    names = list(trials[0].settings)
    head = ["trial", "status", "epochs", "best R2", "parameters", "s/epoch"]
    rows = [
        [
            f"{trial.number}{'*' if trial.number in front else ''}",
            trial.status,
            str(len(trial.history)),
            "-" if trial.best_r2 is None else r2_text(trial.best_r2),
            "-" if trial.parameters is None else str(trial.parameters),
            "-" if trial.seconds_per_epoch is None else f"{trial.seconds_per_epoch:.2f}",
            *(value_text(trial.settings[name]) for name in names),
        ]
        for trial in ranked
    ]
    return [f"  {line}" for line in aligned_lines([[*head, *map(short_name, names)], *rows])]


def write_figures(
    tuning: TuningConfig,
    trials: Sequence[TrialRecord],
    metrics: dict[str, Any],
    folder: Path,
) -> None:
    """Write curves.png, parameters.png and cost.png.

    Args:
        tuning: configuration of the search.
        trials: records of all trials.
        metrics: return value of `search_metrics`.
        folder: folder of the figures, which is created.
    """
    folder.mkdir(exist_ok=True)
    shown = [trial for trial in trials if trial.history]
    curves = [_curve(trial) for trial in shown]
    (best,) = (curve for curve in curves if curve.number == metrics["best"]["trial"])
    epochs = metrics["epochs"]["of_a_whole_trial"]
    plot_curves(curves, best, epochs=epochs).savefig(folder / "curves.png")
    parameters = [
        _parameter_panel(dimension, shown, metrics["importance"][dimension.name])
        for dimension in tuning.dimensions
    ]
    plot_parameters(curves, best, panels=parameters).savefig(folder / "parameters.png")
    costs = [
        _cost_panel("parameters of the network", shown, _parameters),
        _cost_panel("seconds per epoch", shown, _seconds_per_epoch),
    ]
    plot_cost(curves, best, panels=costs).savefig(folder / "cost.png")


def _curve(trial: TrialRecord) -> TrialCurve:
    r2 = [record.validation_r2 for record in trial.history]
    return TrialCurve(number=trial.number, status=trial.status, r2=r2)


def _parameter_panel(
    dimension: Dimension, trials: Sequence[TrialRecord], importance: float | None
) -> ParameterPanel:
    values = [trial.settings[dimension.name] for trial in trials]
    choice = dimension.kind == CHOICE
    label = _importance_text(importance)
    title = f"{short_name(dimension.name)}: {'' if importance is None else 'importance '}{label}"
    return ParameterPanel(
        title=title,
        positions=[dimension.coordinate(v) if choice else float(v) for v in values],
        choices=[value_text(value) for value in dimension.values] if choice else [],
        limits=(0, len(dimension.values) - 1) if choice else dimension.values,
        logarithmic=dimension.kind == LOGUNIFORM,
    )


def _cost_panel(
    label: str, trials: Sequence[TrialRecord], cost: Callable[[TrialRecord], float]
) -> CostPanel:
    front = [(cost(trial), trial.best_r2 or 0.0) for trial in _front(trials, cost)]
    return CostPanel(label=label, costs=[cost(trial) for trial in trials], front=front)
