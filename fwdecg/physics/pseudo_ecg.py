"""Eq. 1 of the paper: the extracellular potential phi_e at electrodes off the sheet.

    phi_e(t) = sum over cells of div(D grad u) dA / |r - r_e|

in units of u times mm/ms, with the sign of the paper: a front that approaches the electrode gives a
positive deflection. The discrete operator is symmetric, so phi_e also equals the sum of
u div(D grad 1/r) dA. The weights div(D grad 1/r) dA are the lead field of the electrode. They are
computed once per case; each frame then costs one dot product per electrode.

In an unbounded volume conductor phi_e in mV is this value times (Vfi - V0) sigma_i h /
(4 pi sigma_e D). Vfi - V0 is about 100 mV, h is the thickness of the tissue in mm, and sigma_i and
sigma_e are the conductivities of tissue and bath. sigma_i / D is a constant of the membrane, so the
factor is constant and has no effect on z-scored signals.

Lead fields use the nine-point formula of `diffusion`, even with the plain scheme, because both
formulas have the same continuum limit.
"""

import numpy as np
from jaxtyping import Float, Float64
from numpy.typing import DTypeLike

from fwdecg.errors import TissueError
from fwdecg.kernels.compile import kernel
from fwdecg.physics.diffusion import Links, exchange_in_row, exchange_with_next_row, links
from fwdecg.physics.tissue import Tissue
from fwdecg.shapes import Electrodes, LeadFields

# Minimum distance of an electrode. Closer to the sheet, cells of the usual size do not resolve 1/r.
CLEARANCE_MM = 1.0

# Number of frames per pass over the lead fields. More frames would not fit into the cache.
FRAMES_AT_ONCE = 8
# Electrodes per matrix product. BLAS splits larger products among threads, which would make the
# order of summation depend on the number of threads.
_ELECTRODES_PER_PRODUCT = 12


def lead_fields(
    tissue: Tissue, electrodes_mm: Electrodes, dtype: DTypeLike = np.float64
) -> LeadFields:
    """Return div(D grad 1/r) dA for each electrode: the weights of u in phi_e, in mm/ms.

    Args:
        tissue: raster of D; the sheet lies in the plane z = 0.
        electrodes_mm: (x, y, z) of each electrode from the top left corner.
        dtype: type of the result; float32 changes phi_e by less than 1e-6 of its range.

    Raises:
        TissueError: an electrode is closer to the sheet than `CLEARANCE_MM`.
    """
    rows, cols = tissue.diffusivity_mm2_per_ms.shape
    size_mm = np.array([cols, rows]) * tissue.spacing_mm
    for electrode in electrodes_mm:
        require_clear_of_sheet(electrode, size_mm)
    leads = np.empty((len(electrodes_mm), rows, cols), dtype=dtype)
    _fill_leads(leads, links(tissue), electrodes_mm, tissue.spacing_mm)
    return leads


def pseudo_ecg(
    frames: Float[np.ndarray, "frame row col"], leads: LeadFields
) -> Float64[np.ndarray, "electrode frame"]:
    """Return phi_e (Eq. 1) of frames of u at each electrode, in units of u times mm/ms.

    Fastest for `FRAMES_AT_ONCE` frames and lead fields of the same precision as the frames.
    """
    return np.concatenate(
        [
            _weighted_sums(frames, leads[first : first + _ELECTRODES_PER_PRODUCT])
            for first in range(0, len(leads), _ELECTRODES_PER_PRODUCT)
        ]
    )


def _weighted_sums(
    frames: Float[np.ndarray, "frame row col"], leads: LeadFields
) -> Float64[np.ndarray, "electrode frame"]:
    """Multiply row by row, so that operands stay in the L1 cache, and sum the rows in float64."""
    by_row = np.matmul(leads.transpose(1, 0, 2), frames.transpose(1, 2, 0))
    return by_row.sum(axis=0, dtype=np.float64)


@kernel()
def _fill_leads(
    leads: LeadFields, link: Links, electrodes_mm: Electrodes, spacing_mm: float
) -> None:
    """Fill `leads` with the exchange of 1/r, in float64 because similar values almost cancel.

    The loop goes row by row for all electrodes, so that the links are loaded from memory once.
    """
    electrodes, rows, cols = leads.shape
    # Two alternating rows per electrode: the current one and the one below it.
    inverse_distance = np.zeros((2, electrodes, cols))
    received = np.zeros((2, electrodes, cols))
    for r in range(-1, rows):
        here, below = r % 2, (r + 1) % 2
        for e in range(electrodes):
            if r + 1 < rows:
                _fill_inverse_distance(
                    inverse_distance[below, e], electrodes_mm[e], spacing_mm, r + 1
                )
            if r < 0:
                continue
            exchange_in_row(received[here, e], inverse_distance[here, e], link, r)
            if r + 1 < rows:
                exchange_with_next_row(
                    received[here, e],
                    received[below, e],
                    inverse_distance[here, e],
                    inverse_distance[below, e],
                    link,
                    r,
                )
            leads[e, r] = received[here, e]
            received[here, e] = 0.0


@kernel(inline=True)
def _fill_inverse_distance(
    row: Float[np.ndarray, " col"], electrode_mm: Float[np.ndarray, "3"], spacing_mm: float, r: int
) -> None:
    """Compute 1/r from the electrode to the cells of row r."""
    x_mm, y_mm, z_mm = electrode_mm
    across_mm2 = ((r + 0.5) * spacing_mm - y_mm) ** 2 + z_mm**2
    for c in range(len(row)):
        row[c] = 1 / np.sqrt(((c + 0.5) * spacing_mm - x_mm) ** 2 + across_mm2)


def require_clear_of_sheet(
    electrode_mm: Float[np.ndarray, "3"], size_mm: Float[np.ndarray, "2"]
) -> None:
    """Raise TissueError if an electrode is closer than `CLEARANCE_MM` to the sheet.

    Args:
        electrode_mm: (x, y, z) from the top left corner.
        size_mm: width and height of the sheet, which lies in the plane z = 0.
    """
    nearest = np.append(np.clip(electrode_mm[:2], 0, size_mm), 0.0)
    distance_mm = float(np.linalg.norm(electrode_mm - nearest))
    if not distance_mm >= CLEARANCE_MM:
        raise TissueError(
            f"electrode {electrode_mm.tolist()} mm is {distance_mm:g} mm from the sheet: it must "
            f"be at least {CLEARANCE_MM:g} mm away; raise its z"
        )
