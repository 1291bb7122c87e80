"""Evaluation of a trained surrogate: compare it with the baselines on the test splits.

A library has a test split of regular cases, which resemble the training cases, and one test split
for each of its shifts. The folder of an evaluation contains cases.parquet (one row for each case
and predictor), report.txt, figures and metrics.json. metrics.json is written last and therefore
marks the evaluation as complete.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from fwdecg.cases.splits import TEST, shifted_split
from fwdecg.config import identity_tree
from fwdecg.evaluation.baselines import fit_baselines
from fwdecg.evaluation.evaluation_config import EvaluationConfig
from fwdecg.evaluation.gallery import (
    plot_reports,
    write_attention_maps,
    write_errors,
    write_figure,
    write_gallery,
)
from fwdecg.evaluation.predictors import Network, Predictor
from fwdecg.evaluation.report import (
    PredictorReport,
    by_shift,
    report_text,
    shifts_text,
    summarise,
    verdict,
)
from fwdecg.evaluation.scores import CaseScore, score_cases, scores_table
from fwdecg.library.labelled_cases import stream_labelled_cases
from fwdecg.library.reader import Library
from fwdecg.pictures.ecg_overlays import EcgPair
from fwdecg.runtime.cost import CostMeter
from fwdecg.runtime.ownership import record_owner
from fwdecg.runtime.progress import Progress
from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store
from fwdecg.training.trained_surrogate import TrainedSurrogate

logger = logging.getLogger(__name__)

SCORES_FILE = "cases.parquet"


def evaluate(
    library: Library, trained: TrainedSurrogate, config: EvaluationConfig, folder: Path
) -> dict[str, Any]:
    """Compare a surrogate with the baselines on the test splits of a library.

    Args:
        library: library with training, validation and test cases.
        trained: the surrogate.
        config: settings of the evaluation.
        folder: folder of the result. If it contains the same evaluation, that result is returned.

    Returns:
        The content of metrics.json.

    Raises:
        CheckpointError: the surrogate does not fit the library.
        LibraryError: a split has no case, or a part cannot be read.
        ResultError: the folder belongs to another evaluation.
    """
    trained.signature.require_fit(library.config)
    identity = _identity(library, trained, config)
    store = Store.at(folder)
    record_owner(store, identity)
    if store.exists(METRICS_FILE):
        logger.info("%s contains this evaluation already", folder)
        return store.read_json(METRICS_FILE)
    meter = CostMeter()
    network = Network.from_checkpoint(trained, config.batch_size)
    logger.info("fitting the baselines to the training split")
    predictors = (network, *fit_baselines(library))
    regular = _evaluate_split(predictors, library, TEST)
    shifted = {
        shift: _evaluate_split(predictors, library, shifted_split(shift))
        for shift in library.config.shifts
        if library.count(shifted_split(shift))
    }
    content = identity | _publish(regular, shifted, folder)
    write_gallery(library, regular.pairs, regular.reports, folder)
    write_errors(library, regular.scores_of(network), folder)
    if trained.config.attention:
        write_attention_maps(library, trained, regular.pairs, folder)
    content["cost"] = meter.lap().as_dict()
    store.publish_json(METRICS_FILE, content)
    store.clear_staging()
    return content


@dataclass(frozen=True, kw_only=True)
class _SplitResult:
    """Scores and predictions on one test split.

    Attributes:
        predictors: all predictors, the network first.
        scores: score of every predictor on every case.
        pairs: true ECG of each case and the network's prediction, in mm/ms.
    """

    predictors: Sequence[Predictor]
    scores: list[CaseScore]
    pairs: list[EcgPair]

    @property
    def reports(self) -> list[PredictorReport]:
        """Report of each predictor."""
        return [
            PredictorReport(
                name=predictor.name,
                knows_tissue=predictor.knows_tissue,
                detail=predictor.detail,
                summaries=summarise(self.scores_of(predictor)),
            )
            for predictor in self.predictors
        ]

    def scores_of(self, predictor: Predictor) -> list[CaseScore]:
        """Return the scores of one predictor, by case."""
        return [score for score in self.scores if score.predictor == predictor.name]

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict and the reports as plain values."""
        network, *baselines = reports = self.reports
        return {
            "verdict": verdict(network, baselines),
            "predictors": {report.name: asdict(report) for report in reports},
        }


def _evaluate_split(predictors: Sequence[Predictor], library: Library, split: str) -> _SplitResult:
    progress = Progress(logger, f"{split} cases evaluated", library.count(split))
    result = _SplitResult(predictors=predictors, scores=[], pairs=[])
    for cases in stream_labelled_cases(library, split):
        for predictor in predictors:
            phi_e = predictor.predict(cases)
            scores = score_cases(predictor.name, phi_e, cases, library.statistics)
            result.scores.extend(scores)
            if predictor is predictors[0]:
                result.pairs.extend(
                    EcgPair(
                        case_id=score.case_id,
                        condition=score.condition,
                        r2=score.r2,
                        true=true,
                        predicted=predicted,
                    )
                    for score, true, predicted in zip(scores, cases.phi_e, phi_e, strict=True)
                )
        progress.advance(len(cases))
    return result


def _publish(
    regular: _SplitResult, shifted: Mapping[str, _SplitResult], folder: Path
) -> dict[str, Any]:
    """Write the scores, the report and the picture of the shifts; return their metrics."""
    store = Store.at(folder)
    scores = [score for each in (regular, *shifted.values()) for score in each.scores]
    store.publish_with(SCORES_FILE, partial(pq.write_table, scores_table(scores)))
    reports = regular.reports
    text, content = report_text(reports[0], reports[1:]) + "\n", {"split": TEST} | regular.as_dict()
    if shifted:
        by_name = {shift: each.reports for shift, each in shifted.items()}
        text += "\n" + shifts_text(reports, by_name) + "\n"
        content["shifted"] = {shift: each.as_dict() for shift, each in shifted.items()}
        write_figure(folder, "r2_by_shift", plot_reports(by_shift(reports, by_name)))
    store.publish(REPORT_FILE, text)
    return content


def _identity(
    library: Library, trained: TrainedSurrogate, config: EvaluationConfig
) -> dict[str, Any]:
    """Return what distinguishes one evaluation from another."""
    return identity_tree(config) | {
        "training_hash": trained.signature.training_hash,
        "trained_on_library": trained.signature.library_hash,
        "epoch": trained.epoch,
        "weights_hash": trained.weights_hash,
        "library_hash": library.config_hash,
    }
