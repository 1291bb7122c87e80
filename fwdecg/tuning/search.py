"""A hyperparameter search: trials of a preset's training with other settings, stopped by ASHA.

Its folder holds trials/ (see `trials`) and, once it has ended, trials.parquet, report.txt,
best.toml (a preset with the best settings), best.safetensors, figures/ and, last, metrics.json.
"""

import logging
import shutil
from collections.abc import Callable, Sequence
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
from fwdecg.pictures.tuning_figures import draw_cost, draw_curves, draw_parameters
from fwdecg.runtime.cost import Cost, CostMeter
from fwdecg.runtime.nodes import require_same_file, require_shared_folder
from fwdecg.runtime.ownership import record_owner
from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store
from fwdecg.training.midline import require_midline
from fwdecg.training.recipe import Recipe
from fwdecg.training.run import BEST
from fwdecg.training.training_folder import newest_checkpoint
from fwdecg.training.training_plan import Plan, plan_training
from fwdecg.tuning.proposals import Proposals, make_proposals
from fwdecg.tuning.search_space import Settings, check_space
from fwdecg.tuning.sweep import plan_resources, run_sweep, with_gpus
from fwdecg.tuning.trial import SearchContext, plan_trial, share_splits
from fwdecg.tuning.trials import (
    UNFINISHED,
    TrialFolders,
    TrialRecord,
    best_trial,
    read_trial,
    trials_table,
)
from fwdecg.tuning.tuning_config import TuningConfig
from fwdecg.tuning.tuning_report import report_text, search_metrics

logger = logging.getLogger(__name__)

# Return the text of a preset that trains a recipe and keeps all results in the given folder.
PresetText = Callable[[Recipe, Path], str]

TABLE, PRESET, FIGURES = "trials.parquet", "best.toml", "figures"
RETRAINED = "best"  # folder of what comes of the best settings, a folder for each trial


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search that was found to make sense.

    Attributes:
        library: whose cases the trials learn from.
        recipe: what every trial trains, before its settings are applied.
        tuning: configuration of the search.
        proposals: source of the trials' settings.
    """

    library: Library
    recipe: Recipe
    tuning: TuningConfig
    proposals: Proposals

    @property
    def identity(self) -> dict[str, Any]:
        """What makes this search another one than those with other values."""
        space = {d.name: {d.kind: list(d.values)} for d in self.tuning.dimensions}
        return {
            "model": identity_tree(self.recipe.model),
            "training": identity_tree(self.recipe.training),
            "tuning": identity_tree(self.tuning) | {"space": space},
            "library": self.library.config_hash,
        }


def plan_search(library: Library, recipe: Recipe, tuning: TuningConfig) -> Search:
    """Return the search that a preset describes; start and write nothing.

    Raises:
        ConfigError: the space names an unknown key or an invalid value, it holds fewer settings
            than there are trials, the rungs do not fit into the epochs, or Optuna is missing.
        LibraryError: the library has too few cases.
    """
    trained = trial_recipe(recipe, tuning, library.config)
    plan_training(library, trained.model, trained.training)
    return Search(library=library, recipe=trained, tuning=tuning, proposals=make_proposals(tuning))


def trial_recipe(recipe: Recipe, tuning: TuningConfig, library: LibraryConfig) -> Recipe:
    """Check a search and return what its trials train, before their settings are applied.

    Args:
        recipe: recipe of the preset.
        tuning: configuration of the search.
        library: configuration of the library, which need not be built yet.

    Raises:
        ConfigError: as `plan_search`.
    """
    epochs = tuning.epochs or recipe.training.epochs
    training = replace(recipe.training, epochs=epochs, workers=tuning.workers_per_trial)
    trained = replace(recipe, training=training)

    def accept(settings: Settings) -> None:
        if trained.with_settings(settings).training.mirror:
            require_midline(library)

    check_space(tuning.dimensions, accept)
    if "training.epochs" in [dimension.name for dimension in tuning.dimensions]:
        raise ConfigError("tuning.space: training.epochs cannot vary; set tuning.epochs")
    last_start = tuning.grace_period * tuning.reduction_factor ** (tuning.brackets - 1)
    if last_start > epochs:
        raise ConfigError(
            f"tuning.grace_period = {tuning.grace_period}: trials of {epochs} epochs would not "
            f"reach a rung in each of {tuning.brackets} brackets (the last begins at epoch "
            f"{last_start:g}); lower it or tuning.brackets, or raise tuning.epochs"
        )
    make_proposals(tuning)  # refuses a space that is too small, and a missing Optuna
    return trained


def retraining_folder(folder: Path, trial: int) -> Path:
    """Return the folder for the results of training a trial's settings anew.

    Each trial has a folder of its own, because an extended search may find another best trial.
    """
    return folder / RETRAINED / f"{trial:05d}"


def tune(search: Search, folder: Path, preset_text: PresetText) -> dict[str, Any]:
    """Run a search, or go on where it was interrupted, and leave its result.

    Args:
        search: from `plan_search`; a Ray cluster is connected.
        folder: of the result, which every node of the cluster must see under this name.
        preset_text: returns the text of best.toml.

    Returns:
        The content of metrics.json.

    Raises:
        ResultError: the folder holds another search, or some node of the cluster does not see it
            or the library.
        ConfigError: the cluster has no room for a trial.
        RunError: no trial came to a result.
    """
    meter, store = CostMeter(), Store.at(folder)
    record_owner(store, search.identity)
    folders = TrialFolders(folder)
    if _complete(store, folders, search.tuning.trials):
        logger.info("%s is tuned already", folder)
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
    run_sweep(context, search.proposals)
    return _publish(search, folders, preset_text, meter)


def _complete(store: Store, folders: TrialFolders, trials: int) -> bool:
    """True if a result was left and each of the trials asked for has an outcome."""
    return store.exists(METRICS_FILE) and all(folders.outcome(n) is not None for n in range(trials))


def _publish(
    search: Search, folders: TrialFolders, preset_text: PresetText, meter: CostMeter
) -> dict[str, Any]:
    store = Store.at(folders.root)
    tuning, epochs = search.tuning, search.recipe.training.epochs
    trials = [read_trial(folders, number, plan) for number, plan in _plans(search, folders).items()]
    best = best_trial(trials)
    store.publish_with(TABLE, partial(pq.write_table, trials_table(trials)))
    if best is None:
        raise RunError(
            f"{store.label()}: none of {len(trials)} trials came to a result; the first: "
            f"{trials[0].reason or UNFINISHED}; see {TABLE}"
        )
    metrics = search.identity | search_metrics(tuning, epochs, trials, best)
    checkpoint = newest_checkpoint(folders.folder(best.number))
    assert checkpoint is not None, "a trial with a history has a checkpoint"
    store.publish_with(BEST, partial(shutil.copyfile, checkpoint / BEST))
    text = preset_text(
        search.recipe.with_settings(best.settings), retraining_folder(folders.root, best.number)
    )
    store.publish(PRESET, f"{_preset_comment(best)}\n{text}")
    store.publish(REPORT_FILE, report_text(tuning, trials, metrics))
    _draw(search, trials, best, metrics["importance"], folders.root / FIGURES)
    cost = sum((trial.cost for trial in trials), Cost()) + meter.lap()
    metrics["cost"] = cost.as_dict()
    store.publish_json(METRICS_FILE, metrics)
    store.clear_staging()
    folders.clear_staging()
    return metrics


def _plans(search: Search, folders: TrialFolders) -> dict[int, Plan | None]:
    """The plans of the trials there are."""
    plans: dict[int, Plan | None] = {}
    for number in range(search.tuning.trials):
        settings = folders.settings(number)
        if settings is None:
            break
        try:
            plans[number] = plan_trial(search.library, search.recipe, settings)
        except FwdEcgError:  # its outcome says so
            plans[number] = None
    return plans


def _preset_comment(best: TrialRecord) -> str:
    return (
        f"# Trial {best.number} of a search: validation R2 {best.best_r2:.4f} in epoch "
        f"{best.best_epoch}, {best.status} after {len(best.history)}."
    )


def _draw(
    search: Search,
    trials: Sequence[TrialRecord],
    best: TrialRecord,
    importance: dict[str, float | None],
    folder: Path,
) -> None:
    folder.mkdir(exist_ok=True)
    draw_curves(trials, best, folder / "curves.png", epochs=search.recipe.training.epochs)
    draw_parameters(
        trials,
        best,
        folder / "parameters.png",
        space=search.tuning.dimensions,
        importance=importance,
    )
    draw_cost(trials, best, folder / "cost.png")
