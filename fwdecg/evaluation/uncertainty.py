"""The uncertainty of an ensemble on a library: fitted on validation cases, judged on test cases.

A folder of such an assessment holds cases.parquet (one row per test case), report.txt and, last,
metrics.json, which says that the rest is complete.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
    by_case,
    covered,
    fit_factor,
    scaled,
)
from fwdecg.evaluation.ensemble import Ensemble, Forecast
from fwdecg.evaluation.report import ALL_CONDITIONS, COLUMNS
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

CASES = "cases.parquet"
LEAST_MEMBERS = 2


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """What an ensemble's forecasts of some cases come to, in z-scores.

    Attributes:
        case_id: numbers of the cases.
        condition: tissue condition of each.
        error: mean of the members less the truth.
        spread: of the members, not calibrated.
        r2: of the mean.
        member_r2: mean over the members of each one's own.
    """

    case_id: Int64[np.ndarray, " N"]
    condition: tuple[str, ...]
    error: Signals
    spread: Signals
    r2: Float64[np.ndarray, " N"]
    member_r2: Float64[np.ndarray, " N"]

    @classmethod
    def of(cls, ensemble: Ensemble, cases: LabelledCases, statistics: Statistics) -> "Residuals":
        """The residuals of an ensemble on some cases of a library."""
        each = ensemble.predict_each(cases.u)
        forecast = Forecast.of(each)
        truth, mean = (z_scored(ecg, statistics) for ecg in (cases.phi_e, forecast.phi_e))
        member_r2 = [_r2(z_scored(ecg, statistics), truth) for ecg in each]
        assert forecast.spread is not None, "an ensemble of two or more has a spread"
        return cls(
            case_id=cases.case_id,
            condition=cases.condition,
            error=mean - truth,
            spread=forecast.spread / np.array(statistics.phi_e_spread)[:, None],
            r2=_r2(mean, truth),
            member_r2=np.mean(member_r2, axis=0),
        )

    @classmethod
    def join(cls, parts: Sequence["Residuals"]) -> "Residuals":
        """The residuals of the cases of all parts."""
        names = ("case_id", "error", "spread", "r2", "member_r2")
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return cls(condition=sum((part.condition for part in parts), ()), **arrays)

    def rows_of(self, condition: str) -> np.ndarray:
        """Which cases are of a condition; "all" are of all."""
        return np.array([condition in (own, ALL_CONDITIONS) for own in self.condition])


def assess_uncertainty(
    library: Library, members: Sequence[TrainedSurrogate], folder: Path, *, batch_size: int
) -> dict[str, Any]:
    """Fit the factor of an ensemble's spread on the validation split, and judge it on the others.

    Args:
        library: with validation and test cases; the test splits of shifts are judged too.
        members: at least two.
        folder: of the result; one that holds this very assessment is only read.
        batch_size: cases predicted at once.

    Returns:
        The content of metrics.json.

    Raises:
        ConfigError: there is a single member.
        CheckpointError: a member does not fit the library.
        LibraryError: a split has no case, or a part cannot be read.
        ResultError: the folder holds another assessment.
    """
    if len(members) < LEAST_MEMBERS:
        raise ConfigError("a single checkpoint has no spread: give at least two")
    for member in members:
        member.signature.require_fit(library.config)
    identity = _identity(library, members)
    store = Store.at(folder)
    record_owner(store, identity)
    if store.exists(METRICS_FILE):
        logger.info("%s is assessed already", folder)
        return store.read_json(METRICS_FILE)
    ensemble = Ensemble.of(members, batch_size)
    fitted = _residuals(ensemble, library, VALIDATION)
    factor = fit_factor(fitted.error, fitted.spread)
    judged = {
        split: _residuals(ensemble, library, split)
        for split in splits_of(library.config.shifts)
        if split not in (TRAIN, VALIDATION) and library.count(split)
    }
    figures = {split: _by_condition(own, factor) for split, own in judged.items()}
    content = identity | {"factor": factor, "nominal_coverage": NOMINAL, "splits": figures}
    table = pa.Table.from_pylist(
        [row for split, own in judged.items() for row in _rows(split, own, factor)]
    )
    store.publish_with(CASES, lambda path: pq.write_table(table, path))
    store.publish(REPORT_FILE, report_text(factor, len(members), figures) + "\n")
    store.publish_json(METRICS_FILE, content)
    store.clear_staging()
    return content


def report_text(factor: float, members: int, figures: dict[str, dict[str, dict[str, Any]]]) -> str:
    """A table for each split: what the columns are of, line by line.

    Args:
        factor: of the spread, fitted on the validation split.
        members: their number.
        figures: by split and condition, as in metrics.json.
    """
    lines = [
        f"An ensemble of {members}. Errors and sigma are of z-scored ECGs; sigma is the members' "
        f"spread times {factor:.3g},",
        "fitted on the validation split.",
    ]
    for split, by_condition in figures.items():
        columns = [column for column in COLUMNS if column in by_condition]
        cells = [_cells(by_condition[column]) for column in columns]
        lines += ["", _line(split, columns)]
        lines += [_line(name, [column[name] for column in cells]) for name in cells[0]]
    return "\n".join(lines)


def _cells(figures: dict[str, Any]) -> dict[str, str]:
    within = {
        f"within {width} sigma ({nominal:.1%})": f"{share:.1%}"
        for width, nominal, share in zip(WIDTHS, NOMINAL, figures["coverage"], strict=True)
    }
    correlations = {
        f"rank correlation, {what}": "-" if value is None else f"{value:.2f}"
        for what, value in (
            ("cases", figures["case_correlation"]),
            ("samples", figures["sample_correlation"]),
        )
    }
    return {
        "cases": str(figures["cases"]),
        "R2 of the mean": f"{figures['r2']:.4f}",
        "R2 of a member, mean": f"{figures['member_r2']:.4f}",
        "RMSE": f"{figures['rmse']:.4f}",
        "sigma": f"{figures['sigma']:.4f}",
        **within,
        **correlations,
    }


def _line(name: str, cells: Sequence[str]) -> str:
    return name.ljust(26) + "".join(cell.rjust(14) for cell in cells)


def _residuals(ensemble: Ensemble, library: Library, split: str) -> Residuals:
    progress = Progress(logger, f"{split} cases predicted", library.count(split))
    parts = []
    for cases in stream_labelled_cases(library, split):
        parts.append(Residuals.of(ensemble, cases, library.statistics))
        progress.advance(len(cases))
    return Residuals.join(parts)


def _by_condition(residuals: Residuals, factor: float) -> dict[str, dict[str, Any]]:
    """Figures of a split's cases by condition, and last of "all"."""
    figures = {}
    for condition in COLUMNS:
        rows = residuals.rows_of(condition)
        if not rows.any():
            continue
        sigma = scaled(residuals.spread[rows], factor)
        figures[condition] = asdict(Calibration.of(residuals.error[rows], sigma)) | {
            "r2": float(residuals.r2[rows].mean()),
            "member_r2": float(residuals.member_r2[rows].mean()),
        }
    return figures


def _rows(split: str, residuals: Residuals, factor: float) -> list[dict[str, Any]]:
    sigma = scaled(residuals.spread, factor)
    columns = {
        "case_id": residuals.case_id,
        "condition": residuals.condition,
        "r2": residuals.r2,
        "rmse": by_case(residuals.error),
        "sigma": by_case(sigma),
        **{
            f"within_{width}_sigma": covered(residuals.error, sigma, width).mean((1, 2))
            for width in WIDTHS
        },
    }
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    return [{"split": split} | row for row in rows]


def _r2(prediction: Signals, truth: Signals) -> Float64[np.ndarray, " N"]:
    return metrics.r2(torch.from_numpy(prediction).mT, torch.from_numpy(truth).mT).numpy()


def _identity(library: Library, members: Sequence[TrainedSurrogate]) -> dict[str, Any]:
    """What makes one assessment another; the order of the members does not."""
    return {
        "members": sorted(member.weights_hash for member in members),
        "trainings": sorted(member.signature.training_hash for member in members),
        "library_hash": library.config_hash,
    }
