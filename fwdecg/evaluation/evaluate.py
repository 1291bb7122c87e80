"""The evaluation of a trained surrogate: every predictor on the test split, and what is left of it.

A folder of an evaluation holds cases.parquet (one row per case and predictor), report.txt, figures
and, last, metrics.json, which says that the rest is complete.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from fwdecg.config import identity_tree
from fwdecg.evaluation.baselines import Predictor, fit_baselines
from fwdecg.evaluation.cases import LabelledCases, stream_cases
from fwdecg.evaluation.config import EvaluationConfig
from fwdecg.evaluation.figures import Trace
from fwdecg.evaluation.gallery import draw_gallery
from fwdecg.evaluation.predict import Network, require_fit, weights_hash
from fwdecg.evaluation.report import PredictorReport, report_text, summarise, verdict
from fwdecg.evaluation.scores import CaseScore, Ecgs, score_cases, scores_table, z_scored
from fwdecg.library.reader import Library
from fwdecg.library.splits import TEST
from fwdecg.progress import Progress
from fwdecg.storage import METRICS, REPORT, Store
from fwdecg.training.checkpoint import TrainedSurrogate

logger = logging.getLogger(__name__)

CASES = "cases.parquet"


def evaluate(
    library: Library, trained: TrainedSurrogate, config: EvaluationConfig, folder: Path
) -> dict[str, Any]:
    """Compare a surrogate with the baselines on the test split of a library.

    Args:
        library: with training, validation and test cases.
        trained: the surrogate.
        config: of the evaluation.
        folder: of the result; one that holds this very evaluation is only read.

    Returns:
        The content of metrics.json.

    Raises:
        CheckpointError: the surrogate does not fit the library.
        LibraryError: a split has no case, or a part cannot be read.
        ResultError: the folder holds another evaluation.
    """
    require_fit(trained.signature, library.config)
    identity = _identity(library, trained, config)
    store = Store.at(folder)
    store.claim(identity, "")
    if store.exists(METRICS):
        logger.info("%s is evaluated already", folder)
        return store.read_json(METRICS)
    network = Network.of(trained, config.batch_size)
    logger.info("fitting the baselines to the training split")
    baselines = fit_baselines(library)
    trial = _try(network, baselines, library)
    reports = [_report(predictor, trial.scores) for predictor in (network, *baselines)]
    content = identity | {
        "split": TEST,
        "verdict": verdict(reports[0], reports[1:]),
        "predictors": {report.name: report.as_dict() for report in reports},
    }
    table, text = scores_table(trial.scores), report_text(reports[0], reports[1:]) + "\n"
    store.publish_by(CASES, lambda path: pq.write_table(table, path))
    store.publish(REPORT, text)
    draw_gallery(library, trial.traces, reports, folder)
    store.publish_json(METRICS, content)
    store.clear_staging()
    return content


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """What came of the test split.

    Attributes:
        scores: of every predictor and case.
        traces: true ECG and the network's, of each case.
    """

    scores: list[CaseScore]
    traces: list[Trace]


def _try(network: Predictor, baselines: Sequence[Predictor], library: Library) -> _Trial:
    progress = Progress(logger, "test cases evaluated", library.count(TEST))
    trial = _Trial(scores=[], traces=[])
    for cases in stream_cases(library, TEST):
        phi_e = network.predict(cases)
        own = score_cases(network.name, phi_e, cases, library.statistics)
        trial.scores.extend(own)
        trial.traces.extend(_traces(own, phi_e, cases, library))
        for baseline in baselines:
            predicted = baseline.predict(cases)
            trial.scores.extend(score_cases(baseline.name, predicted, cases, library.statistics))
        progress.advance(len(cases))
    return trial


def _traces(
    scores: Sequence[CaseScore], phi_e: Ecgs, cases: LabelledCases, library: Library
) -> list[Trace]:
    true, predicted = (z_scored(ecg, library.statistics) for ecg in (cases.phi_e, phi_e))
    recording = library.config.recording
    time_ms = np.arange(recording.frames) * recording.frame_interval_ms
    return [
        Trace(
            case_id=score.case_id,
            condition=score.condition,
            r2=score.r2,
            time_ms=time_ms,
            true=true[row],
            predicted=predicted[row],
        )
        for row, score in enumerate(scores)
    ]


def _report(predictor: Predictor, scores: Sequence[CaseScore]) -> PredictorReport:
    return PredictorReport(
        name=predictor.name,
        knows_tissue=predictor.knows_tissue,
        detail=predictor.detail,
        summaries=summarise([score for score in scores if score.predictor == predictor.name]),
    )


def _identity(
    library: Library, trained: TrainedSurrogate, config: EvaluationConfig
) -> dict[str, Any]:
    """What makes one evaluation another."""
    return identity_tree(config) | {
        "training_hash": trained.signature.training_hash,
        "trained_on_library": trained.signature.library_hash,
        "epoch": trained.epoch,
        "weights_hash": weights_hash(trained),
        "library_hash": library.config_hash,
    }
