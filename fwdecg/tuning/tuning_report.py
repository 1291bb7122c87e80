"""A finished search in words and numbers."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fwdecg.evaluation.text_table import aligned
from fwdecg.runtime.progress import duration_text
from fwdecg.tuning.importance import importances
from fwdecg.tuning.settings_text import r2_text, short_name, value_text
from fwdecg.tuning.trials import FAILED, TrialRecord
from fwdecg.tuning.tuning_config import TuningConfig


def search_metrics(
    tuning: TuningConfig, epochs: int, trials: Sequence[TrialRecord], best: TrialRecord
) -> dict[str, Any]:
    """The main figures of a search, as plain values."""
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
        "importance": importances(tuning.dimensions, trials, epochs=compared_after(tuning, epochs)),
        "pareto_front": [trial.number for trial in cheapest(trials)],
    }


def compared_after(tuning: TuningConfig, epochs: int) -> int:
    """The epoch that all trials had which did not fail."""
    return min(tuning.grace_period, epochs)


def cheapest(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials of which none with fewer parameters is better, by rising cost."""
    usable = [t for t in trials if t.usable and t.parameters is not None]
    points = [(float(t.parameters or 0), t.best_r2 or 0.0) for t in usable]
    return [usable[place] for place in pareto_front(points)]


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Places of the (cost, gain) that no other one beats in both, by rising cost."""
    front: list[int] = []
    for place in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if not front or points[place][1] > points[front[-1]][1]:
            front.append(place)
    return front


def report_text(
    tuning: TuningConfig, trials: Sequence[TrialRecord], metrics: dict[str, Any]
) -> str:
    """The report: the best trial, what the search cost, importance, and all trials."""
    best, epochs = metrics["best"], metrics["epochs"]
    lines = [
        f"best validation R2 {r2_text(best['best_validation_r2'])}: trial {best['trial']}, "
        f"{best['status']}, epoch {best['best_epoch']} of {epochs['of_a_whole_trial']}, "
        f"{best['parameters']} parameters",
        *(f"  {name} = {value_text(value)}" for name, value in best["settings"].items()),
        "",
        _counts(metrics["trials"]),
        f"{epochs['spent']} epochs of {epochs['of_all_trials_whole']} that all trials would take "
        f"if none ended early ({epochs['share']:.0%}), "
        f"{duration_text(metrics['seconds_of_epochs'])} of training",
        "",
        f"importance: share of the variance of R2's ranks after "
        f"{compared_after(tuning, epochs['of_a_whole_trial'])} "
        "epochs that goes with one key alone",
        *(
            f"  {name}: {'too few trials' if share is None else format(share, '.2f')}"
            for name, share in metrics["importance"].items()
        ),
        "",
        "trials, the best first; * none with fewer parameters is better",
        *_trials(trials, set(metrics["pareto_front"])),
    ]
    failures = [trial for trial in trials if trial.status == FAILED]
    lines += [f"  trial {trial.number} failed: {trial.reason}" for trial in failures]
    return "\n".join(lines) + "\n"


def _counts(counts: dict[str, int]) -> str:
    parts = [f"{counts[s]} {s}" for s in counts if s != "asked"]
    text = f"{counts['asked']} trials: {', '.join(parts)}"
    missing = counts["asked"] - sum(counts[s] for s in counts if s != "asked")
    return text + (f", {missing} not started" if missing else "")


def _rank(trial: TrialRecord) -> tuple[bool, float, int]:
    return not trial.usable, -(trial.best_r2 or 0.0), trial.number


def _trials(trials: Sequence[TrialRecord], front: set[int]) -> list[str]:
    ranked = sorted(trials, key=_rank)
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
    return [f"  {line}" for line in aligned([[*head, *map(short_name, names)], *rows])]
