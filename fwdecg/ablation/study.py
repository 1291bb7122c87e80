"""An ablation study: train variants of the network with several seeds and compare them.

Every training is a Ray task with its own process and its own folder. Finished trainings are
therefore not repeated, interrupted ones resume from their last checkpoint, and variants and seeds
can be added to a study later. The folder of a study contains:

    runs/VARIANT/seed-N/  result of `training.trainer.train`, and scores.parquet of the test cases
    cases.parquet         all scores, one row for each variant, seed and case
    ablation.png          Fig. 3 of the paper
    report.txt, metrics.json
"""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from fwdecg.ablation.ablation_report import ablation_text, plot_comparisons
from fwdecg.ablation.comparison import COMPARED_METRICS, compare_variants
from fwdecg.ablation.variants import FULL, AblationConfig, recipes
from fwdecg.cases.splits import TEST
from fwdecg.config import identity_tree
from fwdecg.errors import RunError
from fwdecg.evaluation.predictors import Network
from fwdecg.evaluation.scores import score_cases, scores_table
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

ALL_SCORES_FILE, RUN_SCORES_FILE, PICTURE_FILE = "cases.parquet", "scores.parquet", "ablation.png"
BATCH_SIZE = 8  # cases predicted at once


@dataclass(frozen=True, kw_only=True)
class AblationRun:
    """One training of one variant.

    Attributes:
        variant: name of the variant.
        recipe: recipe of the variant with the seed of this training.
        folder: folder of the training. All nodes of the cluster must share it under this path.
    """

    variant: str
    recipe: Recipe
    folder: Path

    @property
    def seed(self) -> int:
        """Seed of the training."""
        return self.recipe.training.seed

    @property
    def name(self) -> str:
        """Name for messages."""
        return f"{self.variant}, seed {self.seed}"

    @property
    def store(self) -> Store:
        """Folder of the training as a store."""
        return Store.at(self.folder)


def ablate(library: Library, config: AblationConfig, full: Recipe, folder: Path) -> dict[str, Any]:
    """Run the missing trainings of a study on the connected Ray cluster and compare the variants.

    Args:
        library: library with training, validation and test cases.
        config: settings of the study.
        full: recipe of the full network.
        folder: folder of the study. All nodes of the cluster must share it under this path.

    Returns:
        The content of metrics.json.

    Raises:
        ConfigError: a variant is not acceptable.
        LibraryError: a split has no case.
        ResultError: the folder contains trainings with other settings.
        RunError: a training failed.
    """
    if not config.gpus_per_run:  # without a reservation, all trainings would share one GPU
        full = replace(full, training=replace(full.training, device="cpu"))
    runs = [
        AblationRun(
            variant=name,
            recipe=recipe.with_seed(seed),
            folder=folder / "runs" / name.replace(" ", "_") / f"seed-{seed}",
        )
        for name, recipe in recipes(config, full).items()
        for seed in config.seeds
    ]
    library.require_cases(TEST)
    for run in runs:  # refuse the folder of another training before any training starts
        spec = TrainingSpec.from_library(library, run.recipe.model, run.recipe.training)
        record_owner(run.store, spec.identity)
    _train_missing(runs, library, config, folder)
    return _publish(runs, library, config, folder)


def _train_missing(
    runs: Sequence[AblationRun], library: Library, config: AblationConfig, folder: Path
) -> None:
    missing = [run for run in runs if not run.store.exists(RUN_SCORES_FILE)]
    if not missing:
        logger.info("all %d trainings are finished already", len(runs))
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
            on_failure=_raise,
            options=options,
        )
        for run in missing
    ]
    run_tasks(deque(tasks), ABLATION)


def _count(progress: Progress) -> None:
    progress.advance(1)
    ITEMS.add(ABLATION)
    FRACTION_DONE.set(ABLATION, progress.fraction_done)


def _raise(error: RunError) -> None:
    raise error


def train_and_score(place: Store, run: AblationRun, *, threads: int) -> None:
    """Train one variant, or resume its training, and write its scores on the test split.

    Args:
        place: store of the library.
        run: training to start or resume.
        threads: number of PyTorch threads.
    """
    log_to_stdout(run.name)
    require_folder_visible(run.store)
    torch.set_num_threads(threads)
    library = open_library(place)
    train(library, run.recipe.model, run.recipe.training, run.folder)
    network = Network.from_checkpoint(load_surrogate(run.folder / BEST), BATCH_SIZE)
    scores = [
        score
        for cases in stream_labelled_cases(library, TEST)
        for score in score_cases(run.variant, network.predict(cases), cases, library.statistics)
    ]
    run.store.publish_with(RUN_SCORES_FILE, partial(pq.write_table, scores_table(scores)))


def _publish(
    runs: Sequence[AblationRun], library: Library, config: AblationConfig, folder: Path
) -> dict[str, Any]:
    """Compare all trainings and write the scores, the picture, the report and the metrics."""
    tables = [pq.read_table(run.folder / RUN_SCORES_FILE) for run in runs]
    comparisons = [compare_variants(tables, metric) for metric in COMPARED_METRICS]
    with_seeds = [
        table.append_column("seed", pa.array([run.seed] * table.num_rows))
        for run, table in zip(runs, tables, strict=True)
    ]
    trainings: list[dict[str, Any]] = [
        {"variant": run.variant, "seed": run.seed} | run.store.read_json(METRICS_FILE)
        for run in runs
    ]
    costs = (Cost(**each["cost"]) for each in trainings if each.get("cost"))
    content = {
        "library_hash": library.config_hash,
        "study": identity_tree(config),
        FULL: identity_tree(runs[0].recipe),
        "trainings": trainings,
        "cost": sum(costs, Cost()).as_dict(),
        "comparisons": {each.metric: asdict(each)["summaries"] for each in comparisons},
    }
    store = Store.at(folder)
    table = pa.concat_tables(with_seeds).rename_columns({"predictor": "variant"})
    store.publish_with(ALL_SCORES_FILE, partial(pq.write_table, table))
    store.publish_with(PICTURE_FILE, plot_comparisons(comparisons).savefig)
    store.publish(REPORT_FILE, ablation_text(comparisons, config.seeds) + "\n")
    store.publish_json(METRICS_FILE, content)
    store.clear_staging()
    return content
