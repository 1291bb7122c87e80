"""Run all stages of a preset, from the library to the evaluated surrogate."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fwdecg.evaluation.evaluate import evaluate
from fwdecg.experiment.experiment import Experiment, ResultsConfig
from fwdecg.library.build import build_library
from fwdecg.library.reader import open_library
from fwdecg.pictures.learning_picture import write_learning_curves
from fwdecg.runtime.cost import Cost
from fwdecg.runtime.storage import METRICS_FILE, Store
from fwdecg.training.checkpoint import BEST
from fwdecg.training.trained_surrogate import load_surrogate
from fwdecg.training.trainer import train
from fwdecg.tuning.search import plan_search, retraining_folder, trial_recipe, tune
from fwdecg.tuning.trials import OUTCOMES

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """Result of `reproduce`.

    Attributes:
        experiment: experiment that was trained and evaluated. After a search, it has the settings
            of the best trial.
        costs: cost record of each stage, and of their sum under "all". The record is None if the
            cost was not measured.
    """

    experiment: Experiment
    costs: Mapping[str, Mapping[str, Any] | None]


def reproduce(experiment: Experiment, *, search: bool = False) -> Reproduction:
    """Build the library, train the surrogate and evaluate it on the connected Ray cluster.

    Finished stages are skipped. `metrics.json` in the folder of all results collects the metrics of
    the stages.

    Args:
        experiment: content of the preset.
        search: search hyperparameters first, and train and evaluate the best trial.

    Raises:
        FwdEcgError: a stage failed.
    """
    if search:  # reject an invalid search before the library is built
        trial_recipe(experiment.recipe, experiment.tuning, experiment.library)
    results = Store.at(experiment.folder("results"))
    built = build_library(experiment.library, experiment.library_store)
    library = open_library(experiment.library_store)
    stages: dict[str, Any] = {
        "library": {key: built[key] for key in ("config_hash", "counts", "cost")}
    }
    costs = {"library": built["cost"].get("last_run")}
    if search:
        found = tune(
            plan_search(library, experiment.recipe, experiment.tuning),
            experiment.folder("tuning"),
            partial(experiment.retraining_preset, library.config),
        )
        _warn_if_unfinished(found["trials"])
        stages["tuning"], experiment = found, _with_best(experiment, found["best"])
    training, evaluation = experiment.folder("training"), experiment.folder("evaluation")
    stages["training"] = train(library, experiment.model, experiment.training, training)
    write_learning_curves(training)
    trained = load_surrogate(training / BEST)
    stages["evaluation"] = evaluate(library, trained, experiment.evaluation, evaluation)
    costs |= {name: stage.get("cost") for name, stage in stages.items() if name != "library"}
    total = sum((Cost(**cost) for cost in costs.values() if cost), Cost()).as_dict()
    results.publish_json(METRICS_FILE, stages | {"cost": total})
    results.clear_staging()
    return Reproduction(experiment=experiment, costs=costs | {"all": total})


def _with_best(experiment: Experiment, best: Mapping[str, Any]) -> Experiment:
    """Return the experiment with the settings of the best trial and its own results folder.

    Args:
        experiment: experiment of the search. Folders that it sets for single stages are kept.
        best: the entry of the best trial in the metrics of the search.
    """
    recipe = trial_recipe(experiment.recipe, experiment.tuning, experiment.library)
    recipe = recipe.with_settings(best["settings"])
    folder = retraining_folder(experiment.folder("tuning"), best["trial"])
    return replace(
        experiment,
        results=ResultsConfig(path=str(folder)),
        model=recipe.model,
        training=replace(recipe.training, workers=experiment.training.workers),
    )


def _warn_if_unfinished(trials: Mapping[str, int]) -> None:
    unfinished = trials["asked"] - sum(n for status, n in trials.items() if status in OUTCOMES)
    if unfinished:
        logger.warning(
            "%d of %d trials are unfinished; the best one so far is trained; the same command "
            "continues the search first",
            unfinished,
            trials["asked"],
        )
