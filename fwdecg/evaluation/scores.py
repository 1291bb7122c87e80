"""How well one predictor does on each case, in z-scores of the library's training split."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float32, Float64

from fwdecg.library.labelled_cases import LabelledCases
from fwdecg.library.statistics import Statistics
from fwdecg.training import metrics

Ecgs = Float32[np.ndarray, "case electrode frame"]
Ecg = Float32[np.ndarray, "electrode frame"]

METRICS = ("r2", "mae", "rmse", "spectral_entropy_error")  # functions of training.metrics

# name, Arrow type, unit
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
    """One case and one predictor.

    Attributes:
        case_id: number of the case.
        condition: its tissue condition.
        split: its split.
        predictor: name of the predictor.
        r2: coefficient of determination.
        mae: mean absolute error, in z-scores.
        rmse: root mean square error, in z-scores.
        spectral_entropy_error: absolute difference of the spectral entropies, in bits.
    """

    case_id: int
    condition: str
    split: str
    predictor: str
    r2: float
    mae: float
    rmse: float
    spectral_entropy_error: float


def z_scored(phi_e: Ecgs, statistics: Statistics) -> Float64[np.ndarray, "case electrode frame"]:
    """ECGs in z-scores of the training split, each electrode by its own mean and spread."""
    mean, spread = (
        np.array(values)[:, None] for values in (statistics.phi_e_mean, statistics.phi_e_spread)
    )
    return (phi_e - mean) / spread


def score_cases(
    predictor: str, phi_e: Ecgs, cases: LabelledCases, statistics: Statistics
) -> list[CaseScore]:
    """One score per case.

    Args:
        predictor: its name.
        phi_e: what it predicts, in mm/ms.
        cases: with the true ECGs.
        statistics: of the library.
    """
    prediction, target = (
        torch.from_numpy(z_scored(ecg, statistics)).mT for ecg in (phi_e, cases.phi_e)
    )
    values = {name: getattr(metrics, name)(prediction, target).tolist() for name in METRICS}
    return [
        CaseScore(
            case_id=int(case_id),
            condition=condition,
            split=split,
            predictor=predictor,
            **{name: values[name][row] for name in METRICS},
        )
        for row, (case_id, condition, split) in enumerate(
            zip(cases.case_id, cases.condition, cases.split, strict=True)
        )
    ]


def scores_table(scores: Sequence[CaseScore]) -> pa.Table:
    """The scores as rows of an Arrow table, units in the fields' metadata."""
    columns = [
        pa.field(name, kind, nullable=False, metadata={"unit": unit})
        for name, kind, unit in _COLUMNS
    ]
    return pa.Table.from_pylist([asdict(score) for score in scores], schema=pa.schema(columns))


def scores_of(table: pa.Table) -> list[CaseScore]:
    """The scores that `scores_table` made a table of."""
    return [CaseScore(**row) for row in table.to_pylist()]
