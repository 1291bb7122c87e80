"""Limits on the memory and time that checking a library may take.

An untrusted configuration may demand arbitrarily large cases. The limits are far above the needs
of the presets.
"""

import math

from fwdecg.cases.draw import reach_spacing_mm
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.random_fields import (
    NODES_PER_SMOOTHING_LENGTH,
    SMOOTHING_PER_CORRELATION_LENGTH,
    smoothing_length_mm,
)
from fwdecg.cases.splits import PATCH_SIZE_SHIFT
from fwdecg.cases.tissue_config import RANDOM_FIELD
from fwdecg.library.check.fault import Check, ReportFault
from fwdecg.library.paths import MANIFEST
from fwdecg.physics.resolution import Resolution

LARGEST_CASE_BYTES = 2.0**29  # a case of the paper has 1.3e6
LARGEST_SHEET = 2.5e7  # nodes of a lattice or cells of a raster; the paper needs up to 2.3e6
LARGEST_NODE_UPDATES = 1e12  # about 20 minutes on one core; the paper needs up to 4.5e10 a case
LARGEST_LEAD_BYTES = 2.0**31  # 64 electrodes on the paper's finest raster need 0.6e9


def check_case_size(config: LibraryConfig, report: ReportFault) -> bool:
    """Return whether the cases are small enough to be read; report a fault if not."""
    size, limit = case_bytes(config), LARGEST_CASE_BYTES
    if size > limit:
        problem = f"by its config a case has {size:.2g} bytes: the limit is {limit:g}"
        report(Check.VALUES, MANIFEST, f"{problem}, so no case is read")
    return size <= limit


def check_sheet_size(config: LibraryConfig, report: ReportFault) -> bool:
    """Return whether the sheets are small enough to be drawn again; report a fault if not."""
    size, limit = sheet_size(config), LARGEST_SHEET
    if size > limit:
        problem = f"by its config a sheet has {size:.2g} cells or nodes: the limit is {limit:g}"
        report(Check.DRAWS, MANIFEST, f"{problem}, so no case is drawn or simulated again")
    return size <= limit


def case_bytes(config: LibraryConfig) -> float:
    """Return the size of a case's tensors in bytes."""
    recording = config.recording
    frames, electrodes = float(recording.frames), recording.electrode_count
    pixels, maps = _square(recording.map_pixels), 1 + (config.tissue.diffusivity_variation > 0)
    return 2 * frames * pixels + 4 * maps * pixels + 4 * electrodes * frames + 24 * electrodes


def sheet_size(config: LibraryConfig) -> float:
    """Return the largest number of raster cells or lattice nodes that any case can have."""
    size_mm = config.tissue.size_mm
    drawn = _square(size_mm / reach_spacing_mm(size_mm))
    solved = (_cells(config, bulk) for bulk in config.bulk_diffusivity_bounds_mm2_per_ms)
    return max(drawn, _texture_nodes(config), *solved)


def node_updates(config: LibraryConfig, bulk_diffusivity_mm2_per_ms: float) -> float:
    """Return an upper bound of the work to simulate a case, in cell updates.

    Each sample of the ECG counts as one more update of every cell.
    """
    cells = _cells(config, bulk_diffusivity_mm2_per_ms)
    steps = config.recording.duration_ms / _resolution(config, bulk_diffusivity_mm2_per_ms).dt_ms
    return cells * (steps + config.recording.electrode_count * float(config.recording.frames))


def lead_bytes(config: LibraryConfig, bulk_diffusivity_mm2_per_ms: float) -> float:
    """Return the size in bytes of a case's lead fields, which a simulation keeps in memory."""
    return 4.0 * config.recording.electrode_count * _cells(config, bulk_diffusivity_mm2_per_ms)


def _resolution(config: LibraryConfig, bulk_diffusivity_mm2_per_ms: float) -> Resolution:
    return config.solver.resolution(*config.tissue.diffusivity_span(bulk_diffusivity_mm2_per_ms))


def _cells(config: LibraryConfig, bulk_diffusivity_mm2_per_ms: float) -> float:
    spacing_mm = _resolution(config, bulk_diffusivity_mm2_per_ms).spacing_mm
    return _square(config.tissue.size_mm / spacing_mm)


def _texture_nodes(config: LibraryConfig) -> float:
    """Return the number of nodes of the finest lattice on which a random field is drawn.

    The smallest patches at the largest area fraction, or the variation of D, need this lattice.
    """
    tissue = config.tissue
    patches = []
    if tissue.texture == RANDOM_FIELD:
        patches += [
            (tissue.small_patch_size_mm[0], tissue.small_patch_fraction[1]),
            (tissue.large_patch_size_mm[0], tissue.large_patch_fraction[1]),
        ]
    if tissue.texture == RANDOM_FIELD and PATCH_SIZE_SHIFT in config.shifts:
        patches.append((tissue.shifted_patch_size_mm[0], tissue.large_patch_fraction[1]))
    # A fraction that is negligible beside 1 gives patches too rare to be drawn.
    lengths_mm = [
        smoothing_length_mm(size, fraction) for size, fraction in patches if 1 - fraction < 1
    ]
    if tissue.diffusivity_variation > 0:
        lengths_mm.append(SMOOTHING_PER_CORRELATION_LENGTH * tissue.diffusivity_variation_length_mm)
    shortest_mm = min(lengths_mm, default=math.inf)
    return _square(tissue.size_mm * NODES_PER_SMOOTHING_LENGTH / shortest_mm)


def _square(value: float) -> float:
    """Return the square, or infinity on overflow, where `value**2` would raise."""
    return float(value) * float(value)
