"""Scores of a predictor on each case, in z-scores of the library's training split."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float64

from fwdecg.evaluation.predictors import Ecgs
from fwdecg.library.labelled_cases import LabelledCases
from fwdecg.library.statistics import Statistics
from fwdecg.training import metrics

SCORED_METRICS = ("r2", "mae", "rmse", "spectral_entropy_error")  # functions of training.metrics

# Columns of a table of scores: name, Arrow type, unit.
_COLUMNS = (
    ("case_id", pa.int64(), "1"),
    ("condition", pa.string(), "1"),
    ("split", pa.string(), "1"),
    ("predictor", pa.string(), "1"),
    ("r2", pa.float64(), "1"),
    ("mae", pa.float64(), "z-score"),
    ("rmse", pa.float64(), "z-score"),
    ("spectral_entropy_error", pa.float64(), "bit"),
)


@dataclass(frozen=True, kw_only=True)
class CaseScore:
    """Scores of one predictor on one case.

    Attributes:
        case_id: number of the case.
        condition: tissue condition of the case.
        split: split of the case.
        predictor: name of the predictor.
        r2: coefficient of determination.
        mae: mean absolute error in z-scores.
        rmse: root mean square error in z-scores.
        spectral_entropy_error: absolute difference of the spectral entropies in bits.
    """

    case_id: int
    condition: str
    split: str
    predictor: str
    r2: float
    mae: float
    rmse: float
    spectral_entropy_error: float


def z_scored(phi_e: Ecgs, statistics: Statistics) -> Float64[np.ndarray, "N E T"]:
    """Convert ECGs from mm/ms to z-scores.

    Each electrode has its own mean and standard deviation, taken over the training split.
    """
    mean, deviation = (
        np.array(values)[:, None] for values in (statistics.phi_e_mean, statistics.phi_e_spread)
    )
    return (phi_e - mean) / deviation


def score_cases(
    predictor: str, phi_e: Ecgs, cases: LabelledCases, statistics: Statistics
) -> list[CaseScore]:
    """Return the scores of a predictor on each case.

    Args:
        predictor: name of the predictor.
        phi_e: predicted ECGs in mm/ms.
        cases: cases with their true ECGs.
        statistics: statistics of the library.
    """
    prediction, target = (
        torch.from_numpy(z_scored(ecg, statistics)).mT for ecg in (phi_e, cases.phi_e)
    )
    values = {name: getattr(metrics, name)(prediction, target).tolist() for name in SCORED_METRICS}
    return [
        CaseScore(
            case_id=int(case_id),
            condition=condition,
            split=split,
            predictor=predictor,
            **{name: values[name][row] for name in SCORED_METRICS},
        )
        for row, (case_id, condition, split) in enumerate(
            zip(cases.case_id, cases.condition, cases.split, strict=True)
        )
    ]


def scores_table(scores: Sequence[CaseScore]) -> pa.Table:
    """Return the scores as an Arrow table with units in the metadata of its fields."""
    columns = [
        pa.field(name, kind, nullable=False, metadata={"unit": unit})
        for name, kind, unit in _COLUMNS
    ]
    return pa.Table.from_pylist([asdict(score) for score in scores], schema=pa.schema(columns))
