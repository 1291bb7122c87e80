"""Eq. 1 for voltage maps from any source, in mm/ms or mV.

Conventions: the sheet lies in the plane z = 0. x points right along a row and y down, both from the
top left corner of the map. No current crosses the border of the sheet or of a scar: a field with a
gradient at the border loses the flux through it, as if u were constant over the outer half cell.
"""

import math
import warnings

import numpy as np
from jaxtyping import Float, Float64

from fwdecg.errors import FwdEcgWarning, MapsError, TissueError
from fwdecg.physics.pseudo_ecg import lead_fields, pseudo_ecg
from fwdecg.physics.tissue import Tissue
from fwdecg.shapes import Electrodes, Field, LeadFields, Numbers, number_array, single_number

Fields = Float[np.ndarray, "*axes row col"]

UNITS = ("mm/ms", "mV")

# Defaults of the conversion to mV.
ACTION_POTENTIAL_MV = 100.0  # Vfi - V0 of the Fenton-Karma model, from -85 to +15 mV
# Surface-to-volume ratio, 140 / mm, times capacitance, 0.01 uF/mm^2, of the N-version benchmark:
# Niederer et al., Phil. Trans. R. Soc. A 369:4331 (2011).
CAPACITANCE_UF_PER_MM3 = 1.4
MOST_SPAN_MV = 300.0  # voltages of maps that span more have probably another unit
THICKNESS_MM = 2.0  # wall of the human atrium, typical
BATH_CONDUCTIVITY_S_PER_M = 0.2  # mean of the human torso, typical


def ecg(  # noqa: PLR0913  # what Eq. 1 and its unit depend on
    u: Numbers,
    *,
    spacing_mm: float,
    diffusivity_mm2_per_ms: Numbers,
    electrodes_mm: Numbers,
    conducting_fraction: Numbers | None = None,
    unit: str = "mm/ms",
    thickness_mm: float = THICKNESS_MM,
    bath_conductivity_s_per_m: float = BATH_CONDUCTIVITY_S_PER_M,
    capacitance_uf_per_mm3: float = CAPACITANCE_UF_PER_MM3,
    action_potential_mv: float = ACTION_POTENTIAL_MV,
) -> Float64[np.ndarray, "electrode frame"]:
    """Return the ECG of voltage maps by Eq. 1, phi_e = sum of div(D grad u) dA / |r - r_e|.

    The value in mV is the potential in an unbounded bath of one conductivity. It follows from
    D = sigma_i / capacitance, where sigma_i is the conductivity of the tissue:

        phi_e (mV) = phi_e (mm/ms) * action potential * capacitance * thickness
                     / (4 pi * bath conductivity)

    Args:
        u: dimensionless maps (frame, row, col), 0 at rest and about 1 when excited.
        spacing_mm: side of a pixel.
        diffusivity_mm2_per_ms: D, a number or (row, col). If the pixels are area means, D is the
            mean over the pixel, which counts scar as 0.
        electrodes_mm: (x, y, z) of each electrode, from the top left corner.
        conducting_fraction: conducting fraction of each pixel's area, (row, col), if u is an area
            mean that counts scar as 0. Without it, pixels at the rims of scars count too little.
        unit: "mm/ms" or "mV".
        thickness_mm: thickness of the tissue, for mV.
        bath_conductivity_s_per_m: conductivity of the medium around the tissue, for mV.
        capacitance_uf_per_mm3: surface-to-volume ratio times membrane capacitance, for mV.
        action_potential_mv: voltage between u = 0 and u = 1, for mV.

    Raises:
        MapsError: u is no (frame, row, col) array of finite numbers, or a value for mV is not
            above 0.
        TissueError: D, the conducting fraction or an electrode is invalid.
    """
    maps = number_array(u, "u", MapsError)
    if maps.ndim != 3 or maps.size == 0 or not np.isfinite(maps).all():
        raise MapsError(
            f"u has shape {maps.shape}: must be (frame, row, col), with at least one frame and "
            "finite values"
        )
    leads = lead_field(
        spacing_mm=spacing_mm,
        diffusivity_mm2_per_ms=diffusivity_mm2_per_ms,
        electrodes_mm=electrodes_mm,
        conducting_fraction=conducting_fraction,
        shape=maps.shape[1:],
    )
    factor = 1.0
    if unit == "mV":
        factor = _millivolts(
            thickness_mm, bath_conductivity_s_per_m, capacitance_uf_per_mm3, action_potential_mv
        )
        _warn_of_implausible_span(maps, action_potential_mv)
    elif unit not in UNITS:
        raise MapsError(f"unit = {unit!r}: must be one of {', '.join(UNITS)}")
    return factor * pseudo_ecg(maps.astype(np.float64), leads)


def lead_field(
    *,
    spacing_mm: float,
    diffusivity_mm2_per_ms: Numbers,
    electrodes_mm: Numbers,
    conducting_fraction: Numbers | None = None,
    shape: tuple[int, int] | None = None,
) -> LeadFields:
    """Return the weight of each pixel's u in the ECG of each electrode, in mm/ms.

    Args:
        spacing_mm: side of a pixel.
        diffusivity_mm2_per_ms: as for `ecg`.
        electrodes_mm: as for `ecg`.
        conducting_fraction: as for `ecg`.
        shape: rows and columns, if D is a number.

    Raises:
        TissueError: D, the conducting fraction, an electrode or the shape is invalid.
    """
    tissue = Tissue(
        diffusivity_mm2_per_ms=diffusivity_mm2_per_ms, spacing_mm=spacing_mm, shape=shape
    )
    leads = lead_fields(tissue, electrode_positions(electrodes_mm))
    if conducting_fraction is None:
        return leads
    return per_conducting_area(leads, _fractions(conducting_fraction, tissue))


def per_conducting_area(fields: Fields, conducting_fraction: Field) -> Fields:
    """Divide fields by the conducting fraction of each pixel's area.

    This turns area means of u, which count scar as 0, into the voltage of the conducting tissue, or
    weights of that voltage into weights of area means. Where nothing conducts both are 0, so any
    divisor is correct there.
    """
    return fields / np.where(conducting_fraction > 0, conducting_fraction, 1.0)


def electrode_positions(electrodes_mm: Numbers) -> Electrodes:
    """Return electrode positions as an array.

    Raises:
        TissueError: they are not at least one (x, y, z) of finite numbers.
    """
    positions = number_array(electrodes_mm, "electrodes_mm", TissueError).astype(np.float64)
    if positions.ndim != 2 or positions.shape[1] != 3 or not len(positions):
        raise TissueError(
            f"electrodes_mm has shape {positions.shape}: must be (electrode, 3), one row (x, y, z) "
            "for each electrode"
        )
    if not np.isfinite(positions).all():
        raise TissueError("electrodes_mm holds NaN or infinity: every position must be finite")
    return positions


def _fractions(conducting_fraction: Numbers, tissue: Tissue) -> Field:
    fraction = number_array(conducting_fraction, "conducting_fraction", TissueError)
    fraction = fraction.astype(np.float64)
    shape = tissue.diffusivity_mm2_per_ms.shape
    if fraction.shape != shape:
        raise TissueError(
            f"conducting_fraction has shape {fraction.shape}: must be (row, col) = {shape}"
        )
    if not (fraction.min() >= 0 and fraction.max() <= 1 + 1e-6):
        raise TissueError(
            f"conducting_fraction has values from {fraction.min():g} to {fraction.max():g}: must "
            "be from 0 to 1"
        )
    if (tissue.conducts & (fraction == 0)).any():
        raise TissueError(
            "conducting_fraction is 0 where diffusivity_mm2_per_ms is above 0: it must be above 0 "
            "where a pixel conducts"
        )
    return fraction


def _warn_of_implausible_span(u: Float[np.ndarray, "frame row col"], range_mv: float) -> None:
    lowest, highest = float(u.min()), float(u.max())
    span_mv = (highest - lowest) * range_mv
    if span_mv > MOST_SPAN_MV:
        warnings.warn(
            f"u from {lowest:g} to {highest:g} times action_potential_mv = {range_mv:g} spans "
            f"{span_mv:g} mV, more than any cell; scale u to 0 at rest and about 1 when excited, "
            "or, if it is in mV, give action_potential_mv=1",
            FwdEcgWarning,
            stacklevel=3,
        )


def _millivolts(thickness_mm: float, bath: float, capacitance: float, range_mv: float) -> float:
    """Return the potential in mV for 1 mm/ms."""
    values = {
        "thickness_mm": thickness_mm,
        "bath_conductivity_s_per_m": bath,
        "capacitance_uf_per_mm3": capacitance,
        "action_potential_mv": range_mv,
    }
    for name, value in values.items():
        if not 0 < single_number(value, name, MapsError) < math.inf:
            raise MapsError(f"{name} = {value}: must be above 0 and finite")
    # 1 uF / (mm ms) divided by 1 S/m, which is 1 mS/mm, is 1.
    return range_mv * capacitance * thickness_mm / (4 * math.pi * bath)
