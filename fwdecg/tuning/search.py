"""A hyperparameter search: plan it, run it, publish its result.

The folder of a search contains trials/ (see `trials`). A finished search adds trials.parquet,
report.txt, best.toml (a preset with the best settings), best.safetensors, figures/ and finally
metrics.json.
"""

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.config import identity_tree
from fwdecg.errors import ConfigError, FwdEcgError, RunError
from fwdecg.library.paths import MANIFEST
from fwdecg.library.reader import Library
from fwdecg.model.surrogate import build_surrogate
from fwdecg.pictures import search_figures
from fwdecg.runtime.cost import Cost, CostMeter
from fwdecg.runtime.nodes import require_same_file, require_shared_folder
from fwdecg.runtime.ownership import record_owner
from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store
from fwdecg.training.checkpoint import BEST, newest_checkpoint
from fwdecg.training.recipe import Recipe
from fwdecg.training.training_config import require_unchanged_ecg
from fwdecg.training.training_spec import TrainingSpec
from fwdecg.tuning.proposals import make_proposals
from fwdecg.tuning.search_space import Settings, check_space
from fwdecg.tuning.sweep import plan_resources, run_sweep, with_gpus
from fwdecg.tuning.trial import SearchContext, share_splits, trial_spec
from fwdecg.tuning.trials import (
    UNFINISHED,
    TrialFolders,
    TrialOutcome,
    TrialRecord,
    pareto_front,
    trials_table,
)
from fwdecg.tuning.tuning_config import TuningConfig
from fwdecg.tuning.tuning_report import report_text, search_metrics

logger = logging.getLogger(__name__)

TABLE, PRESET, FIGURES = "trials.parquet", "best.toml", "figures"
RETRAINED = "best"  # folder for trainings with the best settings, one folder per trial

# Takes a recipe and a folder; returns the text of a preset that trains the recipe in the folder.
PresetText = Callable[[Recipe, Path], str]


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search whose configuration has been checked.

    Attributes:
        library: library that the trials train on.
        recipe: recipe of every trial, before its settings are applied.
        tuning: configuration of the search.
    """

    library: Library
    recipe: Recipe
    tuning: TuningConfig

    @property
    def identity(self) -> dict[str, Any]:
        """Values that distinguish this search from others, recorded as the owner of its folder."""
        space = {d.name: {d.kind: list(d.values)} for d in self.tuning.dimensions}
        return {
            "model": identity_tree(self.recipe.model),
            "training": identity_tree(self.recipe.training),
            "tuning": identity_tree(self.tuning) | {"space": space},
            "library": self.library.config_hash,
        }


def plan_search(library: Library, recipe: Recipe, tuning: TuningConfig) -> Search:
    """Return the search that a preset describes, without starting or writing anything.

    Raises:
        ConfigError: the space names an unknown key or an invalid value, it has fewer settings
            than there are trials, the rungs do not fit into the epochs, or Optuna is missing.
        LibraryError: the library has too few cases.
    """
    trained = trial_recipe(recipe, tuning, library.config)
    TrainingSpec.from_library(library, trained.model, trained.training)
    return Search(library=library, recipe=trained, tuning=tuning)


def trial_recipe(recipe: Recipe, tuning: TuningConfig, library: LibraryConfig) -> Recipe:
    """Check a search and return the recipe of its trials, before their settings are applied.

    Args:
        recipe: recipe of the preset.
        tuning: configuration of the search.
        library: configuration of the library, which need not be built yet.

    Raises:
        ConfigError: as in `plan_search`.
    """
    epochs = tuning.epochs or recipe.training.epochs
    training = replace(recipe.training, epochs=epochs, workers=tuning.workers_per_trial)
    trained = replace(recipe, training=training)

    def check_settings(settings: Settings) -> None:
        require_unchanged_ecg(trained.with_settings(settings).training, library)

    check_space(tuning.dimensions, check_settings)
    if "training.epochs" in [dimension.name for dimension in tuning.dimensions]:
        raise ConfigError("tuning.space: training.epochs cannot vary; set tuning.epochs")
    last_grace_period = tuning.grace_period * tuning.reduction_factor ** (tuning.brackets - 1)
    if last_grace_period > epochs:
        raise ConfigError(
            f"tuning.grace_period = {tuning.grace_period}: trials of {epochs} epochs would not "
            f"reach a rung in each of {tuning.brackets} brackets (the last begins at epoch "
            f"{last_grace_period:g}); lower it or tuning.brackets, or raise tuning.epochs"
        )
    make_proposals(tuning)  # raises if the space is too small or Optuna is missing
    return trained


def retraining_folder(folder: Path, trial: int) -> Path:
    """Return the folder for a new training with the settings of a trial.

    Each trial has a folder of its own, because an extended search may find another best trial.
    """
    return folder / RETRAINED / f"{trial:05d}"


def tune(search: Search, folder: Path, preset_text: PresetText) -> dict[str, Any]:
    """Run a search on the connected Ray cluster, or continue it, and publish its result.

    Args:
        search: return value of `plan_search`.
        folder: folder of the search, which all nodes of the cluster must see under this path.
        preset_text: returns the text of best.toml.

    Returns:
        The content of metrics.json.

    Raises:
        ResultError: the folder contains another search, or a node does not see it or the library.
        ConfigError: the cluster has no room for a trial.
        RunError: no trial has a result.
    """
    meter, store = CostMeter(), Store.at(folder)
    record_owner(store, search.identity)
    folders = TrialFolders(folder)
    ended = all(folders.outcome(number) for number in range(search.tuning.trials))
    if ended and store.exists(METRICS_FILE):
        logger.info("the search in %s is already complete", folder)
        return store.read_json(METRICS_FILE)
    require_shared_folder(store)
    require_same_file(search.library.store, MANIFEST)
    tuning = with_gpus(search.tuning, search.recipe.training.device)
    plan_resources(tuning)
    logger.info("reading the cases")
    context = SearchContext(
        library=search.library,
        recipe=search.recipe,
        tuning=tuning,
        folders=folders,
        splits=share_splits(search.library),
    )
    run_sweep(context)
    return _publish(search, folders, preset_text, meter)


def _publish(
    search: Search, folders: TrialFolders, preset_text: PresetText, meter: CostMeter
) -> dict[str, Any]:
    store = Store.at(folders.root)
    trials = _read_trials(search, folders)
    if not trials:
        raise RunError(
            f"{store.label()}: no trial has started; raise tuning.time_budget_s and run the same "
            "command again"
        )
    store.publish_with(TABLE, partial(pq.write_table, trials_table(trials)))
    usable = [trial for trial in trials if trial.usable]
    if not usable:
        raise RunError(
            f"{store.label()}: none of {len(trials)} trials has a result; the first: "
            f"{trials[0].reason or UNFINISHED}; see {TABLE}"
        )
    best = max(usable, key=lambda trial: max(trial.r2))
    numbers = search_metrics(search.tuning, search.recipe.training.epochs, trials, best)
    _publish_best(search, best, folders, preset_text)
    store.publish(REPORT_FILE, report_text(search.tuning, trials, numbers))
    _write_figures(search, trials, best, numbers["importance"], folders.root / FIGURES)
    cost = sum((trial.cost for trial in trials), Cost()) + meter.lap()
    metrics = search.identity | numbers | {"cost": cost.as_dict()}
    store.publish_json(METRICS_FILE, metrics)
    for folder in (folders.root, *map(folders.folder, folders.numbers())):
        Store.at(folder).clear_staging()
    return metrics


def _write_figures(
    search: Search,
    trials: Sequence[TrialRecord],
    best: TrialRecord,
    importance: Mapping[str, float | None],
    folder: Path,
) -> None:
    folder.mkdir(exist_ok=True)
    shown = [trial for trial in trials if trial.history]
    fronts = {cost: pareto_front(shown, cost) for cost in search_figures.COSTS}
    curves = search_figures.plot_curves(shown, best, search.recipe.training.epochs)
    parameters = search_figures.plot_parameters(shown, best, search.tuning.dimensions, importance)
    cost = search_figures.plot_cost(shown, best, fronts)
    for name, figure in (("curves", curves), ("parameters", parameters), ("cost", cost)):
        figure.savefig(folder / f"{name}.png")


def _read_trials(search: Search, folders: TrialFolders) -> list[TrialRecord]:
    """Return the records of all trials that were started."""
    records = []
    for number in range(search.tuning.trials):
        settings = folders.settings(number)
        if settings is None:
            break
        outcome = folders.outcome(number) or TrialOutcome(UNFINISHED)
        records.append(
            TrialRecord(
                number=number,
                settings=settings,
                status=outcome.status,
                reason=outcome.reason,
                parameters=_parameters(search, settings),
                history=tuple(folders.history(number)),
            )
        )
    return records


def _parameters(search: Search, settings: Settings) -> int | None:
    """Return the number of parameters of a trial's network; None if its settings are not valid."""
    try:
        spec = trial_spec(search.library, search.recipe, settings)
    except FwdEcgError:  # the outcome of the trial already gives the reason
        return None
    electrodes = len(spec.signature.electrodes_mm)
    surrogate = build_surrogate(
        spec.model, electrodes=electrodes, standardisation=spec.standardisation
    )
    return sum(parameter.numel() for parameter in surrogate.parameters())


def _publish_best(
    search: Search, best: TrialRecord, folders: TrialFolders, preset_text: PresetText
) -> None:
    """Publish the surrogate of the best trial, and a preset with its settings."""
    store = Store.at(folders.root)
    checkpoint = newest_checkpoint(folders.folder(best.number))
    assert checkpoint is not None, "a trial with a history has a checkpoint"
    store.publish_with(BEST, partial(shutil.copyfile, checkpoint / BEST))
    recipe = search.recipe.with_settings(best.settings)
    text = preset_text(recipe, retraining_folder(folders.root, best.number))
    comment = (
        f"# Trial {best.number} of a search: validation R2 {best.best_r2:.4f} in epoch "
        f"{best.best_epoch}, {best.status} after {len(best.history)}."
    )
    store.publish(PRESET, f"{comment}\n{text}")
