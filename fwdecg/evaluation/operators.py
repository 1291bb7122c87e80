"""Eq. 1 evaluated on the maps, with the true tissue of a case or with the tissue the maps show."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32

from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.evaluation.predictors import Ecgs, Predictor, weighted_sums
from fwdecg.library.labelled_cases import LabelledCases
from fwdecg.model.map_features import conducting_fraction, front_speed
from fwdecg.physics.map_ecg import per_conducting_area
from fwdecg.physics.pseudo_ecg import lead_fields
from fwdecg.physics.tissue import Tissue
from fwdecg.shapes import Electrodes, Frames


@dataclass(frozen=True, kw_only=True)
class ExactOperator(Predictor):
    """Eq. 1 with the true D and patches of each case, on the grid of the maps.

    The lead field of the area-mean D (harmonic means at the faces) is applied to the voltage of the
    conducting part of each pixel. A map is an area mean that counts patches as u = 0, so it is
    divided by the conducting fraction of the pixel. Without this division, pixels at the rims of
    patches count too little: R^2 in fibrosis falls from 0.996 to 0.93 on 1.6 mm pixels.

    The grid limits the accuracy. At edges and rims the operator needs u at the border, but the map
    contains only the mean over a pixel. The error is largest where the wave is slow and its front
    is only a pixel wide. Rounding the maps to float16 costs far less. At full resolution the
    operator is exact by definition.

    Attributes:
        map_spacing_mm: side length of a pixel.
    """

    name: str = "exact operator"
    detail: str = "Eq. 1 on the maps, true D and patches"
    knows_tissue: ClassVar[bool] = True

    map_spacing_mm: float

    def predict(self, cases: LabelledCases) -> Ecgs:
        """Return the ECG of each case in mm/ms."""
        return np.stack([self._ecg(cases, row) for row in range(len(cases))])

    def _ecg(self, cases: LabelledCases, row: int) -> Float32[np.ndarray, "electrode frame"]:
        diffusivity = cases.diffusivity_mm2_per_ms[row].astype(np.float64)
        tissue = Tissue(spacing_mm=self.map_spacing_mm, diffusivity_mm2_per_ms=diffusivity)
        return _ecg_of_maps(
            cases.u[row], tissue, cases.conducting_fraction[row], cases.electrodes_mm[row]
        )


@dataclass(frozen=True, kw_only=True)
class ReadOffOperator(Predictor):
    """Eq. 1 with D and patches estimated from the maps, and a single fitted factor.

    The peak voltage of a pixel shows the fraction of its area that conducts. D is one number for
    each case, proportional to the square of the speed of the first front. See
    `fwdecg.model.map_features`.

    Attributes:
        map_spacing_mm: side length of a pixel.
        electrodes_mm: electrode positions of the library's configuration.
        diffusivity_per_square_speed: D in mm^2/ms for a `front_speed` of 1.
    """

    name: str = "read-off operator"
    detail: str = "Eq. 1 on the maps, D and patches as the maps show them"

    map_spacing_mm: float
    electrodes_mm: Electrodes
    diffusivity_per_square_speed: float

    def predict(self, cases: LabelledCases) -> Ecgs:
        """Return the ECG of each case in mm/ms."""
        return np.stack([self.ecg(u) for u in cases.u])

    def ecg(self, u: Frames) -> Float32[np.ndarray, "electrode frame"]:
        """Return the ECG of one case in mm/ms."""
        maps = torch.from_numpy(u.astype(np.float32)).unsqueeze(0)
        speed = float(front_speed(maps))
        fraction = conducting_fraction(maps).squeeze(0).double().numpy()
        tissue = Tissue(
            spacing_mm=self.map_spacing_mm,
            diffusivity_mm2_per_ms=self.diffusivity_per_square_speed * speed**2 * fraction,
        )
        return _ecg_of_maps(u, tissue, fraction, self.electrodes_mm)


def fit_read_off_operator(
    training: Iterable[LabelledCases], *, recording: RecordingConfig, size_mm: float
) -> ReadOffOperator:
    """Fit the factor of the read-off operator to training cases by least squares.

    Args:
        training: training cases, read once. Each case contributes its squared error divided by the
            sum of squares of its ECG.
        recording: recording configuration of the library.
        size_mm: side length of the sheet.
    """
    unscaled = ReadOffOperator(
        map_spacing_mm=size_mm / recording.map_pixels,
        electrodes_mm=recording.electrodes(size_mm),
        diffusivity_per_square_speed=1.0,
    )
    numerator = denominator = 0.0
    for cases in training:
        predicted, truth = unscaled.predict(cases).astype(np.float64), cases.phi_e
        power = np.square(truth).sum((1, 2))
        numerator += ((predicted * truth).sum((1, 2)) / power).sum()
        denominator += (np.square(predicted).sum((1, 2)) / power).sum()
    return replace(unscaled, diffusivity_per_square_speed=numerator / denominator)


def _ecg_of_maps(
    u: Frames, tissue: Tissue, fraction: Float[np.ndarray, "row col"], electrodes_mm: Electrodes
) -> Float32[np.ndarray, "electrode frame"]:
    """Return the ECG of maps by Eq. 1 if each pixel conducts in a `fraction` of its area."""
    leads = per_conducting_area(lead_fields(tissue, electrodes_mm), fraction)
    return weighted_sums(leads, u)
