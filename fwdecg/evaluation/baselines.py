"""What a network must be compared with: for known D, Eq. 1 is linear in the voltage of a frame.

(a) the operator of Eq. 1 with the true D and patches of each case, (b) the same with those that its
maps show, (c) with one nominal D and no patches, (d) a ridge regression from maps to ECG and (e) a
linear regression from the mean voltage, both fitted on the training split. The last three are one
map of weights per electrode, the same for every case. A network that does not beat (b) to (d),
which see no more than it does, is not worth its cost.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.cases.splits import TRAIN, VALIDATION
from fwdecg.evaluation.operators import ExactOperator, fit_read_off_operator, weighted_sums
from fwdecg.evaluation.regression import NormalEquations, Outputs, normal_equations, solve
from fwdecg.evaluation.scores import Ecgs
from fwdecg.library.labelled_cases import LabelledCases, stream_labelled_cases
from fwdecg.library.reader import Library
from fwdecg.library.schema import BULK_DIFFUSIVITY
from fwdecg.physics.pseudo_ecg import lead_fields
from fwdecg.physics.raster import area_mean, area_mean_transpose
from fwdecg.physics.tissue import Sheet
from fwdecg.shapes import LeadFields
from fwdecg.training.metrics import r2

Maps = Float[np.ndarray, "frame row col"]

# Of the ridge regression, in units of the mean sum of squares of a pixel about its mean.
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)

# Side of the maps that it is fitted to; larger ones are pooled. At 128 it would take 4 GB, at 256
# 70 GB.
RIDGE_PIXELS = 64

# Of the nominal D, in units of the training split's mean D.
NOMINAL_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)


@runtime_checkable
class Predictor(Protocol):
    """Anything that predicts ECGs from the maps of cases."""

    @property
    def name(self) -> str:
        """What it is called in reports."""
        ...

    @property
    def knows_tissue(self) -> bool:
        """Whether it is told D and the patches of a case beside its maps."""
        ...

    @property
    def detail(self) -> str:
        """Its main figure, for the report."""
        ...

    def predict(self, cases: LabelledCases) -> Ecgs:
        """ECG of some cases in mm/ms."""
        ...


@dataclass(frozen=True, kw_only=True)
class WeightMaps:
    """One map of weights and one intercept per electrode, whatever the case.

    Attributes:
        name: what the predictor is called.
        detail: its main figure.
        weights: of u, in mm/ms.
        intercept: in mm/ms.
    """

    knows_tissue: ClassVar[bool] = False

    name: str
    detail: str
    weights: LeadFields
    intercept: Float64[np.ndarray, " electrode"]

    def predict(self, cases: LabelledCases) -> Ecgs:
        """ECG of some cases in mm/ms."""
        offset = self.intercept[:, None].astype(np.float32)
        return np.stack([weighted_sums(self.weights, u) + offset for u in cases.u])


def fit_baselines(library: Library) -> tuple[Predictor, ...]:
    """The five baselines of a library, from its training and validation splits.

    Raises:
        LibraryError: a split has no case, or a part cannot be read.
    """
    recording, size_mm = library.config.recording, library.config.tissue.size_mm
    return (
        ExactOperator(map_spacing_mm=size_mm / recording.map_pixels),
        fit_read_off_operator(
            stream_labelled_cases(library, TRAIN), recording=recording, size_mm=size_mm
        ),
        choose_nominal_operator(library, stream_labelled_cases(library, VALIDATION)),
        fit_ridge(
            stream_labelled_cases(library, TRAIN),
            stream_labelled_cases(library, VALIDATION),
            recording=recording,
        ),
        fit_mean_voltage(stream_labelled_cases(library, TRAIN), recording=recording),
    )


def choose_nominal_operator(library: Library, validation: Iterable[LabelledCases]) -> WeightMaps:
    """Eq. 1 on a sheet without patches, with the one D that serves the validation split best.

    The mean D of the training split itself does worse than no prediction at all where D spans a
    decade: a too large D costs more R^2 than a too small one.

    Args:
        library: whose training split the mean D is taken of.
        validation: of `NOMINAL_SHARES` of the mean that with the best mean R^2 here is kept.
    """
    column = library.table(TRAIN, [BULK_DIFFUSIVITY])[BULK_DIFFUSIVITY]
    mean = float(column.to_numpy().mean())
    return _best(
        [nominal_operator(library.config, share * mean) for share in NOMINAL_SHARES], validation
    )


def nominal_operator(config: LibraryConfig, diffusivity_mm2_per_ms: float) -> WeightMaps:
    """Eq. 1 on a sheet of one D, without patches."""
    recording, size_mm = config.recording, config.tissue.size_mm
    sheet = Sheet(size_mm=size_mm, diffusivity_mm2_per_ms=diffusivity_mm2_per_ms)
    electrodes = recording.electrodes(size_mm)
    return WeightMaps(
        name="nominal operator",
        detail=f"D = {diffusivity_mm2_per_ms:.3g} mm^2/ms by validation R2, no patches",
        weights=lead_fields(sheet.rasterise(size_mm / recording.map_pixels), electrodes),
        intercept=np.zeros(len(electrodes)),
    )


def fit_ridge(
    training: Iterable[LabelledCases],
    validation: Iterable[LabelledCases],
    *,
    recording: RecordingConfig,
) -> WeightMaps:
    """Ridge regression from the map of a frame to its ECG.

    Time and memory grow with the third and second power of the number of pixels: 64 x 64 take half
    a minute on two cores, and 0.4 GB. It is fitted to no more than that: larger maps are pooled by
    area means, and a weight is shared by the pixels that were pooled.

    Args:
        training: what the weights are fitted to; passed through once.
        validation: of `PENALTIES` that with the best mean R^2 on these cases is kept; likewise.
        recording: of the library.
    """
    pixels, fitted = recording.map_pixels, min(recording.map_pixels, RIDGE_PIXELS)
    rows = ((_pooled(u, fitted), ecg) for u, ecg in _records(training))
    equations = normal_equations(rows, features=fitted**2, outputs=recording.electrode_count)
    candidates = [_ridge(equations, penalty, fitted, pixels) for penalty in PENALTIES]
    return _best(candidates, validation)


def fit_mean_voltage(
    training: Iterable[LabelledCases], *, recording: RecordingConfig
) -> WeightMaps:
    """Linear regression from the mean of a map to its ECG."""
    means = (
        (u.reshape(len(u), -1).mean(axis=1, keepdims=True, dtype=np.float64), ecg)
        for u, ecg in _records(training)
    )
    equations = normal_equations(means, features=1, outputs=recording.electrode_count)
    (slope,), intercept = solve(equations, penalty=0.0)
    pixels = recording.map_pixels
    return WeightMaps(
        name="mean voltage",
        detail="linear in the mean of the map",
        weights=np.tile(slope[:, None, None] / pixels**2, (1, pixels, pixels)),
        intercept=intercept,
    )


def _best(candidates: Sequence[WeightMaps], validation: Iterable[LabelledCases]) -> WeightMaps:
    """The candidate with the highest mean R^2; the cases are passed through once."""
    scores = [[_r2_sum(candidate, cases) for candidate in candidates] for cases in validation]
    return candidates[int(np.sum(scores, axis=0).argmax())]


def _ridge(equations: NormalEquations, penalty: float, fitted: int, pixels: int) -> WeightMaps:
    """For maps of `pixels` x `pixels`, from the equations of maps of `fitted` x `fitted`."""
    columns, intercept = solve(equations, penalty)
    weights = columns.T.reshape(-1, fitted, fitted)
    detail = f"penalty {penalty:g}, by validation R2"
    if fitted < pixels:
        weights = area_mean_transpose(weights, pixels)
        detail += f", fitted to maps pooled to {fitted} x {fitted}"
    return WeightMaps(name="ridge regression", detail=detail, weights=weights, intercept=intercept)


def _pooled(u: Maps, side: int) -> Float[np.ndarray, "frame pixel"]:
    """Maps of no more than `side` x `side` pixels."""
    fitting = area_mean(u.astype(np.float32), side) if u.shape[-1] > side else u
    return fitting.reshape(len(u), -1)


def _records(batches: Iterable[LabelledCases]) -> Iterator[tuple[Maps, Outputs]]:
    """Maps and ECG (frame, electrode), case by case."""
    for cases in batches:
        for u, phi_e in zip(cases.u, cases.phi_e, strict=True):
            yield u, phi_e.T


def _r2_sum(predictor: Predictor, cases: LabelledCases) -> float:
    prediction, truth = (torch.tensor(ecg).mT for ecg in (predictor.predict(cases), cases.phi_e))
    return float(r2(prediction, truth).sum())
