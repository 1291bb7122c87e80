"""Assess an ensemble's uncertainty: calibrate it on validation cases, judge it on test cases.

The folder of an assessment contains cases.parquet (one row for each test case), report.txt and
metrics.json. metrics.json is written last and therefore marks the assessment as complete.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Float64, Int64

from fwdecg.cases.splits import TRAIN, VALIDATION, splits_of
from fwdecg.errors import ConfigError
from fwdecg.evaluation.calibration import (
    NOMINAL,
    WIDTHS,
    Calibration,
    Signals,
    calibrated,
    covered,
    fit_factor,
    rms_by_case,
)
from fwdecg.evaluation.ensemble import Ensemble, Forecast
from fwdecg.evaluation.report import ALL_CONDITIONS, COLUMNS, aligned_lines
from fwdecg.evaluation.scores import z_scored
from fwdecg.library.labelled_cases import LabelledCases, stream_labelled_cases
from fwdecg.library.reader import Library
from fwdecg.library.statistics import Statistics
from fwdecg.runtime.ownership import record_owner
from fwdecg.runtime.progress import Progress
from fwdecg.runtime.storage import METRICS_FILE, REPORT_FILE, Store
from fwdecg.training import metrics
from fwdecg.training.trained_surrogate import TrainedSurrogate

logger = logging.getLogger(__name__)

RESIDUALS_FILE = "cases.parquet"
LEAST_MEMBERS = 2


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """Errors and standard deviations of an ensemble on some cases, in z-scores.

    Attributes:
        case_id: number of each case.
        condition: tissue condition of each case.
        error: mean prediction minus truth.
        deviation: standard deviation over the members, not calibrated.
        r2: R^2 of the mean prediction.
        member_r2: R^2 of a single member's prediction, averaged over the members.
    """

    case_id: Int64[np.ndarray, " N"]
    condition: tuple[str, ...]
    error: Signals
    deviation: Signals
    r2: Float64[np.ndarray, " N"]
    member_r2: Float64[np.ndarray, " N"]

    @classmethod
    def compute(
        cls, ensemble: Ensemble, cases: LabelledCases, statistics: Statistics
    ) -> "Residuals":
        """Predict some cases and compare the predictions with the truth."""
        members = ensemble.predict_members(cases.u)
        forecast = Forecast.from_members(members)
        truth, mean = (z_scored(ecg, statistics) for ecg in (cases.phi_e, forecast.phi_e))
        member_r2 = [_r2(z_scored(ecg, statistics), truth) for ecg in members]
        assert forecast.phi_e_std is not None, "an ensemble has at least two members"
        return cls(
            case_id=cases.case_id,
            condition=cases.condition,
            error=mean - truth,
            deviation=forecast.phi_e_std / np.array(statistics.phi_e_spread)[:, None],
            r2=_r2(mean, truth),
            member_r2=np.mean(member_r2, axis=0),
        )

    @classmethod
    def join(cls, parts: Sequence["Residuals"]) -> "Residuals":
        """Join the residuals of several groups of cases."""
        names = ("case_id", "error", "deviation", "r2", "member_r2")
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return cls(condition=sum((part.condition for part in parts), ()), **arrays)


def assess_uncertainty(
    library: Library, members: Sequence[TrainedSurrogate], folder: Path, *, batch_size: int
) -> dict[str, Any]:
    """Calibrate an ensemble on the validation split and judge it on the test splits.

    Args:
        library: library with validation and test cases, regular and shifted.
        members: at least two trained surrogates.
        folder: folder of the result. If it contains the same assessment, that result is returned.
        batch_size: number of cases predicted at once.

    Returns:
        The content of metrics.json.

    Raises:
        ConfigError: there are fewer than two members.
        CheckpointError: a member does not fit the library.
        LibraryError: a split has no case, or a part cannot be read.
        ResultError: the folder belongs to another assessment.
    """
    if len(members) < LEAST_MEMBERS:
        raise ConfigError(
            f"{len(members)} checkpoint: a standard deviation needs several members; give at least "
            "two trainings with different values of training.seed"
        )
    for member in members:
        member.signature.require_fit(library.config)
    identity = _identity(library, members)
    store = Store.at(folder)
    record_owner(store, identity)
    if store.exists(METRICS_FILE):
        logger.info("%s contains this assessment already", folder)
        return store.read_json(METRICS_FILE)
    ensemble = Ensemble(members, batch_size)
    fitted = _residuals(ensemble, library, VALIDATION)
    factor = fit_factor(fitted.error, fitted.deviation)
    judged = {
        split: _residuals(ensemble, library, split)
        for split in splits_of(library.config.shifts)
        if split not in (TRAIN, VALIDATION) and library.count(split)
    }
    figures = {split: _by_condition(own, factor) for split, own in judged.items()}
    content = identity | {"factor": factor, "nominal_coverage": NOMINAL, "splits": figures}
    table = pa.concat_tables([_table(split, own, factor) for split, own in judged.items()])
    store.publish_with(RESIDUALS_FILE, partial(pq.write_table, table))
    store.publish(REPORT_FILE, report_text(factor, len(members), figures) + "\n")
    store.publish_json(METRICS_FILE, content)
    store.clear_staging()
    return content


def report_text(factor: float, members: int, figures: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return a table for each split, with one column for each condition.

    Args:
        factor: calibration factor, fitted on the validation split.
        members: number of members.
        figures: metrics by split and condition, as in metrics.json.
    """
    lines = [
        f"Ensemble of {members} members. Errors and sigma are of z-scored ECGs. Sigma is the "
        "standard deviation",
        f"over the members times {factor:.3g}, a factor fitted on the validation split.",
    ]
    for split, by_condition in figures.items():
        cells = [_cells(own) for own in by_condition.values()]
        rows = [[name, *(column[name] for column in cells)] for name in cells[0]]
        lines += ["", *aligned_lines([[split, *by_condition], *rows])]
    return "\n".join(lines)


def _cells(figures: dict[str, Any]) -> dict[str, str]:
    """Return the cells of one column of the report by the name of their row."""
    cells = {"cases": str(figures["cases"])}
    for name, key in (
        ("R2 of the mean", "r2"),
        ("R2 of a member, mean", "member_r2"),
        ("RMSE", "rmse"),
        ("sigma", "sigma"),
    ):
        cells[name] = f"{figures[key]:.4f}"
    for width, nominal, fraction in zip(WIDTHS, NOMINAL, figures["coverage"], strict=True):
        cells[f"within {width} sigma ({nominal:.1%})"] = f"{fraction:.1%}"
    for name in ("case", "sample"):
        value = figures[f"{name}_correlation"]
        cells[f"rank correlation, {name}s"] = "-" if value is None else f"{value:.2f}"
    return cells


def _residuals(ensemble: Ensemble, library: Library, split: str) -> Residuals:
    progress = Progress(logger, f"{split} cases predicted", library.count(split))
    parts = []
    for cases in stream_labelled_cases(library, split):
        parts.append(Residuals.compute(ensemble, cases, library.statistics))
        progress.advance(len(cases))
    return Residuals.join(parts)


def _by_condition(residuals: Residuals, factor: float) -> dict[str, dict[str, Any]]:
    """Return the metrics of each condition of a split, and last the metrics of all cases."""
    figures = {}
    for condition in COLUMNS:
        rows = np.array([condition in (own, ALL_CONDITIONS) for own in residuals.condition])
        if not rows.any():
            continue
        sigma = calibrated(residuals.deviation[rows], factor)
        figures[condition] = asdict(Calibration.from_errors(residuals.error[rows], sigma)) | {
            "r2": float(residuals.r2[rows].mean()),
            "member_r2": float(residuals.member_r2[rows].mean()),
        }
    return figures


def _table(split: str, residuals: Residuals, factor: float) -> pa.Table:
    """Return one row for each case of a split."""
    sigma = calibrated(residuals.deviation, factor)
    columns = {
        "split": [split] * len(residuals.case_id),
        "case_id": residuals.case_id,
        "condition": residuals.condition,
        "r2": residuals.r2,
        "rmse": rms_by_case(residuals.error),
        "sigma": rms_by_case(sigma),
    }
    for width in WIDTHS:
        within = covered(residuals.error, sigma, width)
        columns[f"within_{width}_sigma"] = within.mean((1, 2))
    return pa.table(columns)


def _r2(prediction: Signals, truth: Signals) -> Float64[np.ndarray, " N"]:
    return metrics.r2(torch.from_numpy(prediction).mT, torch.from_numpy(truth).mT).numpy()


def _identity(library: Library, members: Sequence[TrainedSurrogate]) -> dict[str, Any]:
    """Return what distinguishes one assessment from another, whatever the order of the members."""
    return {
        "members": sorted(member.weights_hash for member in members),
        "trainings": sorted(member.signature.training_hash for member in members),
        "library_hash": library.config_hash,
    }
