"""The baselines that a network is compared with. For known D, Eq. 1 is linear in the voltage map.

(a) Eq. 1 with the true D and patches of each case, (b) Eq. 1 with the D and patches that the maps
show, (c) Eq. 1 with one nominal D and no patches, (d) a ridge regression from maps to ECGs and (e)
a linear regression from the mean voltage. (d) and (e) are fitted to the training split. (c) to (e)
use the same weights for every case. Baselines (b) to (d) receive the same input as the network. A
network that does not beat them is not worth its cost.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.cases.splits import TRAIN, VALIDATION
from fwdecg.evaluation.operators import ExactOperator, fit_read_off_operator
from fwdecg.evaluation.predictors import LinearPredictor, Predictor
from fwdecg.evaluation.regression import NormalEquations, Outputs, normal_equations, solve
from fwdecg.library.labelled_cases import LabelledCases, stream_labelled_cases
from fwdecg.library.reader import Library
from fwdecg.library.schema import BULK_DIFFUSIVITY
from fwdecg.physics.pseudo_ecg import lead_fields
from fwdecg.physics.raster import area_mean, area_mean_transpose
from fwdecg.physics.tissue import Sheet
from fwdecg.training.metrics import r2

Maps = Float[np.ndarray, "frame row col"]

# Penalties of the ridge regression, relative to a pixel's centred sum of squares, averaged over the
# pixels.
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)

# Side length of the maps that the ridge regression is fitted to; larger maps are pooled. Maps of
# 128 x 128 pixels would take 4 GB, maps of 256 x 256 pixels 70 GB.
RIDGE_PIXELS = 64

# Candidates for the nominal D, relative to the mean D of the training split.
NOMINAL_FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)


def fit_baselines(library: Library) -> tuple[Predictor, ...]:
    """Return the five baselines, fitted to the training and validation splits of a library.

    Raises:
        LibraryError: a split has no case, or a part cannot be read.
    """
    recording, size_mm = library.config.recording, library.config.tissue.size_mm

    def stream(split: str) -> Iterator[LabelledCases]:
        return stream_labelled_cases(library, split)

    return (
        ExactOperator(map_spacing_mm=size_mm / recording.map_pixels),
        fit_read_off_operator(stream(TRAIN), recording=recording, size_mm=size_mm),
        choose_nominal_operator(library, stream(VALIDATION)),
        fit_ridge(stream(TRAIN), stream(VALIDATION), recording=recording),
        fit_mean_voltage(stream(TRAIN), recording=recording),
    )


def choose_nominal_operator(
    library: Library, validation: Iterable[LabelledCases]
) -> LinearPredictor:
    """Return the nominal operator whose D has the best mean R^2 on the validation cases.

    If D spans a decade, the mean D of the training split is worse than predicting a constant,
    because an overestimate of D costs more R^2 than an underestimate.

    Args:
        library: library whose training split determines the mean D.
        validation: cases on which the candidates, `NOMINAL_FRACTIONS` of the mean D, are compared.
    """
    column = library.table(TRAIN, [BULK_DIFFUSIVITY])[BULK_DIFFUSIVITY]
    mean = float(column.to_numpy().mean())
    candidates = [
        nominal_operator(library.config, fraction * mean) for fraction in NOMINAL_FRACTIONS
    ]
    return _best(candidates, validation)


def nominal_operator(config: LibraryConfig, diffusivity_mm2_per_ms: float) -> LinearPredictor:
    """Return Eq. 1 for a sheet with one D everywhere, without patches."""
    recording, size_mm = config.recording, config.tissue.size_mm
    sheet = Sheet(size_mm=size_mm, diffusivity_mm2_per_ms=diffusivity_mm2_per_ms)
    electrodes = recording.electrodes(size_mm)
    return LinearPredictor(
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
) -> LinearPredictor:
    """Fit a ridge regression from the map of a frame to the ECG at that frame.

    Time grows with the third power of the number of pixels, memory with the second: 64 x 64 pixels
    take half a minute on two cores and 0.4 GB. Larger maps are therefore pooled to
    `RIDGE_PIXELS` by area means, and the pixels of a pool share one weight.

    Args:
        training: cases that the weights are fitted to, read once.
        validation: cases on which `PENALTIES` are compared by their mean R^2, read once.
        recording: recording configuration of the library.
    """
    pixels, fitted = recording.map_pixels, min(recording.map_pixels, RIDGE_PIXELS)
    rows = ((_pooled(u, fitted), ecg) for u, ecg in _maps_and_ecgs(training))
    equations = normal_equations(rows, features=fitted**2, outputs=recording.electrode_count)
    candidates = [_ridge(equations, penalty, fitted, pixels) for penalty in PENALTIES]
    return _best(candidates, validation)


def fit_mean_voltage(
    training: Iterable[LabelledCases], *, recording: RecordingConfig
) -> LinearPredictor:
    """Fit a linear regression from the mean of a map to the ECG at that frame.

    Args:
        training: cases that the regression is fitted to, read once.
        recording: recording configuration of the library.
    """
    means = (
        (u.reshape(len(u), -1).mean(axis=1, keepdims=True, dtype=np.float64), ecg)
        for u, ecg in _maps_and_ecgs(training)
    )
    equations = normal_equations(means, features=1, outputs=recording.electrode_count)
    (slope,), intercept = solve(equations, penalty=0.0)
    pixels = recording.map_pixels
    return LinearPredictor(
        name="mean voltage",
        detail="linear in the mean of the map",
        weights=np.tile(slope[:, None, None] / pixels**2, (1, pixels, pixels)),
        intercept=intercept,
    )


def _best(
    candidates: Sequence[LinearPredictor], validation: Iterable[LabelledCases]
) -> LinearPredictor:
    """Return the candidate with the highest mean R^2, reading the cases only once."""
    scores = [[_r2_sum(candidate, cases) for candidate in candidates] for cases in validation]
    return candidates[int(np.sum(scores, axis=0).argmax())]


def _ridge(equations: NormalEquations, penalty: float, fitted: int, pixels: int) -> LinearPredictor:
    """Return the predictor for `pixels` x `pixels` maps, fitted to `fitted` x `fitted` maps."""
    columns, intercept = solve(equations, penalty)
    weights = columns.T.reshape(-1, fitted, fitted)
    detail = f"penalty {penalty:g}, by validation R2"
    if fitted < pixels:
        weights = area_mean_transpose(weights, pixels)
        detail += f", fitted to maps pooled to {fitted} x {fitted}"
    return LinearPredictor(
        name="ridge regression", detail=detail, weights=weights, intercept=intercept
    )


def _pooled(u: Maps, side: int) -> Float[np.ndarray, "frame pixel"]:
    """Return flattened maps of at most `side` x `side` pixels."""
    pooled = area_mean(u.astype(np.float32), side) if u.shape[-1] > side else u
    return pooled.reshape(len(u), -1)


def _maps_and_ecgs(batches: Iterable[LabelledCases]) -> Iterator[tuple[Maps, Outputs]]:
    """Yield the maps and the ECG (frame, electrode) of one case after another."""
    for cases in batches:
        for u, phi_e in zip(cases.u, cases.phi_e, strict=True):
            yield u, phi_e.T


def _r2_sum(predictor: Predictor, cases: LabelledCases) -> float:
    prediction, truth = (torch.tensor(ecg).mT for ecg in (predictor.predict(cases), cases.phi_e))
    return float(r2(prediction, truth).sum())
