"""A hyperparameter search: trials of a preset's training with other settings, stopped by ASHA.

Its folder holds trials/ (see `trial_folders`) and, once it has ended, trials.parquet, report.txt,
best.toml (a preset with the best settings), best.safetensors, figures/ and, last, metrics.json.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from fwdecg.config import identity_tree, to_toml, to_tree
from fwdecg.errors import ConfigError, FwdEcgError, RunError
from fwdecg.experiment.experiment import Experiment, ResultsConfig
from fwdecg.library.paths import MANIFEST
from fwdecg.library.reader import Library
from fwdecg.pictures.tuning_figures import draw_cost, draw_curves, draw_parameters
from fwdecg.runtime.cost import Cost, CostMeter
from fwdecg.runtime.nodes import require_same_file, require_shared_folder
from fwdecg.runtime.ownership import record_owner
from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store
from fwdecg.training.run import BEST
from fwdecg.training.training_folder import newest_checkpoint
from fwdecg.training.training_plan import Plan, plan_training
from fwdecg.tuning.proposals import Proposals, make_proposals
from fwdecg.tuning.search_space import check_space
from fwdecg.tuning.shared_splits import share_splits
from fwdecg.tuning.sweep import plan_resources, run_sweep, with_gpus
from fwdecg.tuning.trial import Bench, plan_trial
from fwdecg.tuning.trial_folders import UNFINISHED, TrialFolders
from fwdecg.tuning.trial_record import TrialRecord, best_trial, read_trials, trials_table
from fwdecg.tuning.tuning_config import TuningConfig
from fwdecg.tuning.tuning_report import report_text, search_metrics

logger = logging.getLogger(__name__)

TABLE, PRESET, FIGURES = "trials.parquet", "best.toml", "figures"
RETRAINED = "best"  # folder of what comes of the best settings, a folder for each trial


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search that was found to make sense.

    Attributes:
        library: whose cases the trials learn from.
        experiment: whose settings they vary, with the epochs of a trial.
        proposals: of their settings.
        workers: that the preset trains with.
    """

    library: Library
    experiment: Experiment
    proposals: Proposals
    workers: int

    @property
    def identity(self) -> dict[str, Any]:
        """What makes this search another one than those with other values."""
        tuning = self.experiment.tuning
        space = {d.name: {d.kind: list(d.values)} for d in tuning.dimensions}
        return {
            "model": identity_tree(self.experiment.model),
            "training": identity_tree(self.experiment.training),
            "tuning": identity_tree(tuning) | {"space": space},
            "library": self.library.config_hash,
        }


def plan_search(library: Library, experiment: Experiment) -> Search:
    """The search that a preset describes; nothing is started or written.

    Raises:
        ConfigError: the space names a key or a value that is not acceptable, it is smaller than
            the number of trials, the rungs do not fit into the epochs, or Optuna is not installed.
        LibraryError: there are too few cases.
    """
    workers = experiment.training.workers
    experiment = check_search(experiment)
    plan_training(library, experiment.model, experiment.training)
    return Search(
        library=library,
        experiment=experiment,
        proposals=make_proposals(experiment.tuning),
        workers=workers,
    )


def check_search(experiment: Experiment) -> Experiment:
    """The experiment with the training of a trial, if the search makes sense on some library.

    Raises:
        ConfigError: as `plan_search`.
    """
    tuning = experiment.tuning
    epochs = tuning.epochs or experiment.training.epochs
    training = replace(experiment.training, epochs=epochs, workers=tuning.workers_per_trial)
    experiment = replace(experiment, training=training)
    check_space(tuning.dimensions, experiment.with_settings)
    if "training.epochs" in [dimension.name for dimension in tuning.dimensions]:
        raise ConfigError("tuning.space: training.epochs cannot vary; set tuning.epochs")
    last_start = tuning.grace_period * tuning.reduction_factor ** (tuning.brackets - 1)
    if last_start > epochs:
        raise ConfigError(
            f"tuning.grace_period = {tuning.grace_period}: trials of {epochs} epochs would not "
            f"reach a rung in each of {tuning.brackets} brackets (the last begins at epoch "
            f"{last_start:g}); lower it or tuning.brackets, or raise tuning.epochs"
        )
    make_proposals(tuning)  # which refuses a space that is too small, or that Optuna is missing
    return experiment


def with_best(experiment: Experiment, best: Mapping[str, Any]) -> Experiment:
    """A preset with the best settings of its search, to be trained in a place of their own.

    Args:
        experiment: of the preset; places that it names are kept.
        best: the trial, as metrics.json of the search has it.
    """
    trial = check_search(experiment).with_settings(best["settings"])
    return replace(
        trial,
        results=ResultsConfig(path=str(_place(experiment.tuning_folder, best["trial"]))),
        training=replace(trial.training, workers=experiment.training.workers),
    )


def _place(folder: Path, number: int) -> Path:
    """Where a trial's settings are trained anew; a search that goes on may find better ones."""
    return folder / RETRAINED / f"{number:05d}"


def tune(search: Search, folder: Path) -> dict[str, Any]:
    """Run a search, or go on where it was interrupted, and leave its result.

    Args:
        search: from `plan_search`; a Ray cluster is connected.
        folder: of the result, which every node of the cluster must see under this name.

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
    if _complete(store, folders, search.experiment.tuning.trials):
        logger.info("%s is tuned already", folder)
        return store.read_json(METRICS_FILE)
    require_shared_folder(store)
    require_same_file(search.library.store, MANIFEST)
    experiment = with_gpus(search.experiment)
    plan_resources(experiment)
    logger.info("reading the cases")
    bench = Bench(
        library=search.library,
        experiment=experiment,
        folders=folders,
        splits=share_splits(search.library),
    )
    run_sweep(bench, search.proposals)
    return _publish(search, folders, store, meter)


def _complete(store: Store, folders: TrialFolders, trials: int) -> bool:
    """True if a result was left and each of the trials asked for has an outcome."""
    return store.exists(METRICS_FILE) and all(folders.outcome(n) is not None for n in range(trials))


def _publish(
    search: Search, folders: TrialFolders, store: Store, meter: CostMeter
) -> dict[str, Any]:
    trials = read_trials(folders, _plans(search, folders))
    best = best_trial(trials)
    store.publish_with(TABLE, partial(pq.write_table, trials_table(trials)))
    if best is None:
        raise RunError(
            f"{store.label()}: none of {len(trials)} trials came to a result; the first: "
            f"{trials[0].reason or UNFINISHED}; see {TABLE}"
        )
    metrics = search.identity | search_metrics(search.experiment, trials, best)
    checkpoint = newest_checkpoint(folders.folder(best.number))
    assert checkpoint is not None, "a trial with a history has a checkpoint"
    store.publish_with(BEST, partial(shutil.copyfile, checkpoint / BEST))
    store.publish(PRESET, _preset(search, best, folders.root))
    store.publish(REPORT_FILE, report_text(search.experiment, trials, metrics))
    _draw(search.experiment, trials, best, metrics["importance"], folders.root / FIGURES)
    cost = sum((trial.cost for trial in trials), Cost()) + meter.lap()
    metrics["cost"] = cost.as_dict()
    store.publish_json(METRICS_FILE, metrics)
    store.clear_staging()
    folders.clear()
    return metrics


def _plans(search: Search, folders: TrialFolders) -> dict[int, Plan | None]:
    """The plans of the trials there are."""
    plans: dict[int, Plan | None] = {}
    for number in range(search.experiment.tuning.trials):
        settings = folders.settings(number)
        if settings is None:
            break
        try:
            plans[number] = plan_trial(search.library, search.experiment, settings)
        except FwdEcgError:  # its outcome says so
            plans[number] = None
    return plans


def _preset(search: Search, best: TrialRecord, folder: Path) -> str:
    """The preset that trains the best settings anew, in a place of its own."""
    experiment = search.experiment.with_settings(best.settings)
    store = experiment.library_store
    whole = replace(
        experiment,
        results=ResultsConfig(path=str(_place(folder, best.number))),
        library=replace(search.library.config, path=str(store.folder or store.root)),
        training=replace(experiment.training, path="", workers=search.workers),
        evaluation=replace(experiment.evaluation, path=""),
        ablation=replace(experiment.ablation, path=""),
        tuning=TuningConfig(),
    )
    tree = to_tree(whole)
    del tree["tuning"]
    return (
        f"# Trial {best.number} of a search: validation R2 {best.best_r2:.4f} in epoch "
        f"{best.best_epoch}, {best.status} after {len(best.history)}.\n{to_toml(tree)}"
    )


def _draw(
    experiment: Experiment,
    trials: Sequence[TrialRecord],
    best: TrialRecord,
    importance: dict[str, float | None],
    folder: Path,
) -> None:
    folder.mkdir(exist_ok=True)
    draw_curves(trials, best, folder / "curves.png", epochs=experiment.training.epochs)
    draw_parameters(
        trials,
        best,
        folder / "parameters.png",
        space=experiment.tuning.dimensions,
        importance=importance,
    )
    draw_cost(trials, best, folder / "cost.png")
