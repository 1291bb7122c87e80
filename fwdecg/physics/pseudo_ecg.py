"""Eq. 1 of the paper: the extracellular potential phi_e at electrodes off the sheet.

phi_e(t) = sum over cells of div(D grad u) dA / |r - r_e|, in units of u times mm/ms, sign as
printed: a front that approaches the electrode deflects it upwards. The discrete operator is
symmetric, so the sum equals that of u times div(D grad 1/r) dA: one field of weights per
electrode (its lead field), made once, and one dot product per frame. In an
unbounded volume conductor phi_e in mV is this times (Vfi - V0) sigma_i h / (4 pi sigma_e D), with
Vfi - V0 about 100 mV, h the tissue's thickness in mm, sigma_i and sigma_e the conductivities of
tissue and bath; sigma_i / D is a constant of the membrane, and so is the factor, which no surrogate
trained on z-scored signals can see. The operator is the nine-point one of `diffusion`, also where
the solver is asked for the plain scheme: both have the same limit.
"""

import numpy as np
from jaxtyping import Float, Float64

from fwdecg.errors import TissueError
from fwdecg.kernels.compile import kernel
from fwdecg.physics.diffusion import links, net_exchange
from fwdecg.physics.raster import cell_centres_mm
from fwdecg.physics.tissue import Tissue
from fwdecg.shapes import Electrodes, Field, LeadFields

# Nearer to the sheet a sum over cells of usual size no longer resolves 1/r.
CLEARANCE_MM = 1.0


def lead_fields(tissue: Tissue, electrodes_mm: Electrodes) -> LeadFields:
    """div(D grad 1/r) dA for each electrode: the weights of u in phi_e, in mm/ms.

    Args:
        tissue: the raster; the sheet lies in the plane z = 0.
        electrodes_mm: (x, y, z) of each electrode from the top-left corner.

    Raises:
        TissueError: an electrode is closer to the sheet than `CLEARANCE_MM`.
    """
    link = links(tissue)
    return np.stack(
        [net_exchange(_inverse_distance(tissue, electrode), link) for electrode in electrodes_mm]
    )


def pseudo_ecg(
    frames: Float[np.ndarray, "frame row col"], leads: LeadFields
) -> Float64[np.ndarray, "electrode frame"]:
    """phi_e of some frames of u at each electrode, in units of u times mm/ms.

    What costs is reading the lead fields from memory, see `frames_at_once`; in single precision
    they are half as large, and phi_e is off by 1e-7 of its range.
    """
    # Not a matrix product: its threads would add up in an order that depends on their number.
    return _weighted_sums(frames, leads)


def frames_at_once(electrodes: int) -> int:
    """How many frames are best held for `pseudo_ecg`, as each lead field is then read but once.

    But then they lie in memory too, and no longer in a cache.
    """
    return 1 if electrodes <= 2 else 16


@kernel(reassociate=True)
def _weighted_sums(
    frames: Float[np.ndarray, "frame row col"], leads: LeadFields
) -> Float64[np.ndarray, "electrode frame"]:
    """Sums in double precision, row by row: a row of frames and leads fits the nearest cache."""
    sums = np.zeros((leads.shape[0], frames.shape[0]))
    for row in range(frames.shape[1]):
        for e in range(leads.shape[0]):
            for f in range(frames.shape[0]):
                total = 0.0
                for col in range(frames.shape[2]):
                    total += leads[e, row, col] * frames[f, row, col]
                sums[e, f] += total
    return sums


def _inverse_distance(tissue: Tissue, electrode: Float[np.ndarray, "3"]) -> Field:
    rows, cols = tissue.diffusivity_mm2_per_ms.shape
    x = cell_centres_mm(cols, tissue.spacing_mm)[None, :]
    y = cell_centres_mm(rows, tissue.spacing_mm)[:, None]
    size_mm = np.array([cols, rows]) * tissue.spacing_mm
    require_clear_of_sheet(electrode, size_mm)
    return 1 / np.sqrt((x - electrode[0]) ** 2 + (y - electrode[1]) ** 2 + electrode[2] ** 2)


def require_clear_of_sheet(
    electrode_mm: Float[np.ndarray, "3"], size_mm: Float[np.ndarray, "2"]
) -> None:
    """Raise `TissueError` if an electrode is closer than `CLEARANCE_MM` to the sheet.

    Args:
        electrode_mm: (x, y, z) from the top-left corner.
        size_mm: width and height of the sheet, which lies in the plane z = 0.
    """
    nearest = np.append(np.clip(electrode_mm[:2], 0, size_mm), 0.0)
    distance_mm = float(np.linalg.norm(electrode_mm - nearest))
    if not distance_mm >= CLEARANCE_MM:
        raise TissueError(
            f"electrode {electrode_mm.tolist()} mm is {distance_mm:g} mm from the sheet: it must "
            f"be at least {CLEARANCE_MM:g} mm away; raise its z"
        )
