"""The evaluation of a trained surrogate: every predictor on the test splits, and what it leaves.

A library has one test split of cases like those of training, and one of each of its shifts. A
folder of an evaluation holds cases.parquet (one row per case and predictor), report.txt, figures
and, last, metrics.json, which says that the rest is complete.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.cases.splits import TEST, shifted_split
from fwdecg.config import identity_tree
from fwdecg.evaluation.baselines import Predictor, fit_baselines
from fwdecg.evaluation.evaluation_config import EvaluationConfig
from fwdecg.evaluation.gallery import (
    plot_reports,
    write_attention_maps,
    write_errors,
    write_figure,
    write_gallery,
)
from fwdecg.evaluation.network import Network
from fwdecg.evaluation.report import (
    PredictorReport,
    by_shift,
    report_text,
    shifts_text,
    summarise,
    verdict,
)
from fwdecg.evaluation.scores import CaseScore, Ecgs, score_cases, scores_table
from fwdecg.library.labelled_cases import LabelledCases, stream_labelled_cases
from fwdecg.library.reader import Library
from fwdecg.pictures.ecg_overlays import EcgPair
from fwdecg.runtime.cost import CostMeter
from fwdecg.runtime.ownership import record_owner
from fwdecg.runtime.progress import Progress
from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store
from fwdecg.training.trained_surrogate import TrainedSurrogate

logger = logging.getLogger(__name__)

CASES = "cases.parquet"


def evaluate(
    library: Library, trained: TrainedSurrogate, config: EvaluationConfig, folder: Path
) -> dict[str, Any]:
    """Compare a surrogate with the baselines on the test splits of a library.

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
    trained.signature.require_fit(library.config)
    identity = _identity(library, trained, config)
    store = Store.at(folder)
    record_owner(store, identity)
    if store.exists(METRICS_FILE):
        logger.info("%s is evaluated already", folder)
        return store.read_json(METRICS_FILE)
    meter = CostMeter()
    network = Network.of(trained, config.batch_size)
    logger.info("fitting the baselines to the training split")
    baselines = fit_baselines(library)
    trial = _try(network, baselines, library, TEST)
    shifted = {
        shift: _try(network, baselines, library, shifted_split(shift))
        for shift in library.config.shifts
        if library.count(shifted_split(shift))
    }
    content = identity | _publish(trial, shifted, folder)
    write_gallery(library, trial.traces, trial.reports, folder)
    write_errors(library, trial.scores_of(network), folder)
    if trained.config.attention:
        write_attention_maps(library, trained, trial.traces, folder)
    content["cost"] = meter.lap().as_dict()
    store.publish_json(METRICS_FILE, content)
    store.clear_staging()
    return content


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """What came of a test split.

    Attributes:
        predictors: the network first.
        scores: of every predictor and case.
        traces: true ECG and the network's, of each case.
    """

    predictors: Sequence[Predictor]
    scores: list[CaseScore]
    traces: list[EcgPair]

    @property
    def reports(self) -> list[PredictorReport]:
        """Of each predictor."""
        return [_report(predictor, self.scores_of(predictor)) for predictor in self.predictors]

    def scores_of(self, predictor: Predictor) -> list[CaseScore]:
        """Those of one predictor, by case."""
        return [score for score in self.scores if score.predictor == predictor.name]

    def as_dict(self) -> dict[str, Any]:
        """Verdict and reports, as plain values."""
        network, *baselines = reports = self.reports
        return {
            "verdict": verdict(network, baselines),
            "predictors": {report.name: report.as_dict() for report in reports},
        }


def _publish(trial: _Trial, shifted: Mapping[str, _Trial], folder: Path) -> dict[str, Any]:
    """Write scores, report and the picture of the shifts; what metrics.json says of them."""
    store = Store.at(folder)
    scores = [score for each in (trial, *shifted.values()) for score in each.scores]
    store.publish_with(CASES, partial(pq.write_table, scores_table(scores)))
    regular = trial.reports
    text, content = report_text(regular[0], regular[1:]) + "\n", {"split": TEST} | trial.as_dict()
    if shifted:
        reports = {shift: each.reports for shift, each in shifted.items()}
        text += "\n" + shifts_text(regular, reports) + "\n"
        content["shifted"] = {shift: each.as_dict() for shift, each in shifted.items()}
        write_figure(folder, "r2_by_shift", plot_reports(by_shift(regular, reports)))
    store.publish(REPORT_FILE, text)
    return content


def _try(
    network: Predictor, baselines: Sequence[Predictor], library: Library, split: str
) -> _Trial:
    progress = Progress(logger, f"{split} cases evaluated", library.count(split))
    trial = _Trial(predictors=(network, *baselines), scores=[], traces=[])
    for cases in stream_labelled_cases(library, split):
        phi_e = network.predict(cases)
        own = score_cases(network.name, phi_e, cases, library.statistics)
        trial.scores.extend(own)
        trial.traces.extend(_traces(own, phi_e, cases, library.config.recording))
        for baseline in baselines:
            predicted = baseline.predict(cases)
            trial.scores.extend(score_cases(baseline.name, predicted, cases, library.statistics))
        progress.advance(len(cases))
    return trial


def _traces(
    scores: Sequence[CaseScore], phi_e: Ecgs, cases: LabelledCases, recording: RecordingConfig
) -> list[EcgPair]:
    time_ms = np.arange(recording.frames) * recording.frame_interval_ms
    return [
        EcgPair(
            case_id=score.case_id,
            condition=score.condition,
            r2=score.r2,
            time_ms=time_ms,
            true=cases.phi_e[row],
            predicted=phi_e[row],
        )
        for row, score in enumerate(scores)
    ]


def _report(predictor: Predictor, scores: Sequence[CaseScore]) -> PredictorReport:
    return PredictorReport(
        name=predictor.name,
        knows_tissue=predictor.knows_tissue,
        detail=predictor.detail,
        summaries=summarise(scores),
    )


def _identity(
    library: Library, trained: TrainedSurrogate, config: EvaluationConfig
) -> dict[str, Any]:
    """What makes one evaluation another."""
    return identity_tree(config) | {
        "training_hash": trained.signature.training_hash,
        "trained_on_library": trained.signature.library_hash,
        "epoch": trained.epoch,
        "weights_hash": trained.weights_hash,
        "library_hash": library.config_hash,
    }
