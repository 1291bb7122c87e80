"""Eq. 1 on the maps: with the true D and patches of a case, and with those that the maps show."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32

from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.evaluation.scores import Ecgs
from fwdecg.library.labelled_cases import LabelledCases
from fwdecg.model.map_features import conducting_share, front_speed
from fwdecg.physics.pseudo_ecg import lead_fields
from fwdecg.physics.tissue import Tissue
from fwdecg.shapes import Electrodes, Frames, LeadFields


@dataclass(frozen=True, kw_only=True)
class ExactOperator:
    """Eq. 1 with the true D, on the grid of the maps.

    The lead field of the area-mean D (harmonic faces) is applied to the voltage of the conducting
    part of each pixel: a map's area mean counts patches as u = 0, so it is divided by the share of
    the pixel that conducts. Without that division pixels at the rims of patches count
    too little, and R^2 in fibrosis falls from 0.996 to 0.93 on 1.6 mm pixels.

    What limits it is the grid: at edges and rims the operator weighs u at the border, of which the
    map knows only the mean over a pixel; worst where the wave is slow and its front a pixel wide.
    That maps are rounded to float16 costs far less. At full resolution it is exact by definition.

    Attributes:
        map_spacing_mm: side of a pixel.
    """

    name: ClassVar[str] = "exact operator"
    knows_tissue: ClassVar[bool] = True
    detail: ClassVar[str] = "Eq. 1 on the maps, true D and patches"

    map_spacing_mm: float

    def predict(self, cases: LabelledCases) -> Ecgs:
        """ECG of some cases in mm/ms."""
        return np.stack([self._ecg(cases, row) for row in range(len(cases))])

    def _ecg(self, cases: LabelledCases, row: int) -> Float32[np.ndarray, "electrode frame"]:
        diffusivity = cases.diffusivity_mm2_per_ms[row].astype(np.float64)
        tissue = Tissue(spacing_mm=self.map_spacing_mm, diffusivity_mm2_per_ms=diffusivity)
        return _ecg_of(
            cases.u[row], tissue, cases.conducting_fraction[row], cases.electrodes_mm[row]
        )


@dataclass(frozen=True, kw_only=True)
class ReadOffOperator:
    """Eq. 1 with what the maps themselves show of D and patches, and nothing learnt but one factor.

    A pixel conducts in the share of its area that its peak voltage shows, and D is one number per
    case, in proportion to the square of the first front's speed. See `fwdecg.model.map_features`.

    Attributes:
        map_spacing_mm: side of a pixel.
        electrodes_mm: where a case of the library has its electrodes.
        diffusivity_per_square_speed: D in mm^2/ms for a `front_speed` of 1.
    """

    name: ClassVar[str] = "read-off operator"
    knows_tissue: ClassVar[bool] = False
    detail: ClassVar[str] = "Eq. 1 on the maps, D and patches as the maps show them"

    map_spacing_mm: float
    electrodes_mm: Electrodes
    diffusivity_per_square_speed: float

    def predict(self, cases: LabelledCases) -> Ecgs:
        """ECG of some cases in mm/ms."""
        return np.stack([self.ecg(u) for u in cases.u])

    def ecg(self, u: Frames) -> Float32[np.ndarray, "electrode frame"]:
        """ECG of one case in mm/ms."""
        maps = torch.from_numpy(u.astype(np.float32)).unsqueeze(0)
        speed = float(front_speed(maps))
        shown = conducting_share(maps).squeeze(0).double().numpy()
        tissue = Tissue(
            spacing_mm=self.map_spacing_mm,
            diffusivity_mm2_per_ms=self.diffusivity_per_square_speed * speed**2 * shown,
        )
        return _ecg_of(u, tissue, shown, self.electrodes_mm)


def fit_read_off_operator(
    training: Iterable[LabelledCases], *, recording: RecordingConfig, size_mm: float
) -> ReadOffOperator:
    """The operator whose one factor has the least squared error on the training cases.

    Args:
        training: passed through once; each case counts by its error relative to its own ECG.
        recording: of the library.
        size_mm: side of the sheet.
    """
    unscaled = ReadOffOperator(
        map_spacing_mm=size_mm / recording.map_pixels,
        electrodes_mm=recording.electrodes(size_mm),
        diffusivity_per_square_speed=1.0,
    )
    along = across = 0.0
    for cases in training:
        predicted, truth = unscaled.predict(cases).astype(np.float64), cases.phi_e
        power = np.square(truth).sum((1, 2))
        along += ((predicted * truth).sum((1, 2)) / power).sum()
        across += (np.square(predicted).sum((1, 2)) / power).sum()
    return replace(unscaled, diffusivity_per_square_speed=along / across)


def weighted_sums(weights: LeadFields, u: Frames) -> Float32[np.ndarray, "electrode frame"]:
    """Weights times maps, frame by frame, summed in float64."""
    return np.einsum("erc,trc->et", weights, u.astype(np.float64)).astype(np.float32)


def _ecg_of(
    u: Frames, tissue: Tissue, share: Float[np.ndarray, "row col"], electrodes_mm: Electrodes
) -> Float32[np.ndarray, "electrode frame"]:
    """Eq. 1 of maps in which only a share of each pixel conducts."""
    leads = lead_fields(tissue, electrodes_mm)
    # Where nothing conducts the lead field is 0, and so is its product with anything.
    return weighted_sums(leads / np.where(share > 0, share, 1.0), u)
