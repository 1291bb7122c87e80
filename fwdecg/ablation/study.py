"""An ablation study: variants of the network, each trained with several seeds, against the whole.

Every training is one Ray task, alone in its process, and leaves a folder of its own. So finished
trainings are not repeated, killed ones go on from their last checkpoint, and a study grows by more
variants and seeds. A folder of a study holds:

    runs/VARIANT/seed-N/  what `training.trainer.train` leaves, and scores.parquet of the test cases
    cases.parquet         all scores, one row per variant, seed and case
    ablation.png          Fig. 3 of the paper
    report.txt, metrics.json
"""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from fwdecg.ablation.ablation_report import ablation_text, plot_comparisons
from fwdecg.ablation.comparison import COMPARED, RunScores, compare_variants
from fwdecg.ablation.variants import WHOLE, AblationConfig, recipes
from fwdecg.cases.splits import TEST
from fwdecg.config import identity_tree
from fwdecg.errors import RunError
from fwdecg.evaluation.predictors import Network
from fwdecg.evaluation.scores import score_cases, scores_from_table, scores_table
from fwdecg.library.labelled_cases import stream_labelled_cases
from fwdecg.library.paths import MANIFEST
from fwdecg.library.reader import Library, open_library
from fwdecg.runtime.cost import Cost
from fwdecg.runtime.nodes import require_folder_visible, require_same_file, require_shared_folder
from fwdecg.runtime.ownership import record_owner
from fwdecg.runtime.progress import Progress, log_to_stdout
from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store
from fwdecg.runtime.task_pool import Task, run_tasks
from fwdecg.runtime.telemetry import ABLATION, FRACTION_DONE, ITEMS
from fwdecg.training.checkpoint import BEST
from fwdecg.training.recipe import Recipe
from fwdecg.training.trained_surrogate import load_surrogate
from fwdecg.training.trainer import train
from fwdecg.training.training_spec import TrainingSpec
from fwdecg.training.workers import WORKER_ENVIRONMENT

logger = logging.getLogger(__name__)

CASES, SCORES, FIGURE = "cases.parquet", "scores.parquet", "ablation.png"
CASES_PER_BATCH = 8  # predicted


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of one variant.

    Attributes:
        variant: its name.
        recipe: with the seed.
        folder: of the training, which every node of the cluster must see under this name.
    """

    variant: str
    recipe: Recipe
    folder: Path

    @property
    def seed(self) -> int:
        """Of the training."""
        return self.recipe.training.seed

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.variant}, seed {self.seed}"

    @property
    def store(self) -> Store:
        """Its folder."""
        return Store.at(self.folder)


def ablate(library: Library, config: AblationConfig, whole: Recipe, folder: Path) -> dict[str, Any]:
    """Train what is missing of a study on the connected Ray cluster, and compare the variants.

    Args:
        library: with training, validation and test cases.
        config: of the study.
        whole: the network without edits, and its training.
        folder: of the result, which every node of the cluster must see under this name.

    Returns:
        The content of metrics.json.

    Raises:
        ConfigError: a variant is not acceptable.
        LibraryError: a split has no case.
        ResultError: the folder holds trainings with other settings.
        RunError: a training failed.
    """
    if not config.gpus_per_run:  # a GPU that Ray does not know of would be everybody's
        whole = replace(whole, training=replace(whole.training, device="cpu"))
    runs = [
        Run(
            variant=name,
            recipe=recipe.with_seed(seed),
            folder=folder / "runs" / name.replace(" ", "_") / f"seed-{seed}",
        )
        for name, recipe in recipes(config, whole).items()
        for seed in config.seeds
    ]
    library.require_cases(TEST)
    _claim(runs, library)
    _train_missing(runs, library, config, folder)
    return _publish(runs, library, config, folder)


def _claim(runs: Sequence[Run], library: Library) -> None:
    """Refuse folders of other trainings before the first of these begins."""
    for run in runs:
        plan = TrainingSpec.from_library(library, run.recipe.model, run.recipe.training)
        record_owner(run.store, plan.identity)


def _train_missing(
    runs: Sequence[Run], library: Library, config: AblationConfig, folder: Path
) -> None:
    missing = [run for run in runs if not run.store.exists(SCORES)]
    if not missing:
        logger.info("all %d trainings are there already", len(runs))
        return
    require_shared_folder(Store.at(folder))
    require_same_file(library.store, MANIFEST)
    progress = Progress(logger, "trainings done", len(missing))
    options = {
        "num_cpus": config.cpus_per_run,
        "num_gpus": config.gpus_per_run,
        "runtime_env": {"env_vars": WORKER_ENVIRONMENT},
    }
    tasks = [
        Task(
            name=run.name,
            work=partial(train_and_score, library.store, run, threads=config.cpus_per_run),
            on_result=lambda _: _count(progress),
            on_failure=_give_up,
            options=options,
        )
        for run in missing
    ]
    run_tasks(deque(tasks), ABLATION)


def _count(progress: Progress) -> None:
    progress.advance(1)
    ITEMS.add(ABLATION)
    FRACTION_DONE.set(ABLATION, progress.fraction_done)


def _give_up(error: RunError) -> None:
    raise error


def train_and_score(place: Store, run: Run, *, threads: int) -> None:
    """Train one variant, or go on with it, and leave its scores of the test split."""
    log_to_stdout(run.name)
    require_folder_visible(run.store)
    torch.set_num_threads(threads)
    library = open_library(place)
    train(library, run.recipe.model, run.recipe.training, run.folder)
    network = Network.from_checkpoint(load_surrogate(run.folder / BEST), CASES_PER_BATCH)
    scores = [
        score
        for cases in stream_labelled_cases(library, TEST)
        for score in score_cases(run.variant, network.predict(cases), cases, library.statistics)
    ]
    run.store.publish_with(SCORES, partial(pq.write_table, scores_table(scores)))


def _publish(
    runs: Sequence[Run], library: Library, config: AblationConfig, folder: Path
) -> dict[str, Any]:
    tables = [pq.read_table(run.folder / SCORES) for run in runs]
    held = [
        RunScores(variant=run.variant, seed=run.seed, scores=scores_from_table(table))
        for run, table in zip(runs, tables, strict=True)
    ]
    comparisons = [compare_variants(held, metric) for metric in COMPARED]
    seeded = [
        table.append_column("seed", pa.array([run.seed] * table.num_rows))
        for run, table in zip(runs, tables, strict=True)
    ]
    trainings: list[dict[str, Any]] = [
        {"variant": run.variant, "seed": run.seed} | run.store.read_json(METRICS_FILE)
        for run in runs
    ]
    costs = (Cost.from_dict(each["cost"]) for each in trainings if each.get("cost"))
    content = {
        "library_hash": library.config_hash,
        "study": identity_tree(config),
        WHOLE: identity_tree(runs[0].recipe),
        "trainings": trainings,
        "cost": sum(costs, Cost()).as_dict(),
        "comparisons": {each.metric: each.as_dict() for each in comparisons},
    }
    store = Store.at(folder)
    table = pa.concat_tables(seeded).rename_columns({"predictor": "variant"})
    store.publish_with(CASES, partial(pq.write_table, table))
    store.publish_with(FIGURE, plot_comparisons(comparisons).savefig)
    store.publish(REPORT_FILE, ablation_text(comparisons, config.seeds) + "\n")
    store.publish_json(METRICS_FILE, content)
    store.clear_staging()
    return content
