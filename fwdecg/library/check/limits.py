"""What a configuration asks of the machine that checks it, and how much it is granted.

A foreign configuration may ask for anything. The limits lie far above what the presets need.
"""

from collections.abc import Generator
from typing import NamedTuple

from fwdecg.cases.draw import reach_spacing_mm
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.random_fields import (
    NODES_PER_SMOOTHING_LENGTH,
    SMOOTHING_PER_CORRELATION_LENGTH,
    smoothing_length_mm,
)
from fwdecg.cases.splits import PATCH_SIZE_SHIFT
from fwdecg.library.check.fault import Check, Fault
from fwdecg.library.paths import MANIFEST
from fwdecg.physics.resolution import Resolution

LARGEST_CASE_BYTES = 2.0**29  # the paper's have 1.3e6
LARGEST_SHEET = 2.5e7  # nodes of a texture or cells of a raster; the paper's have up to 2.3e6
LARGEST_NODE_UPDATES = 1e12  # about 20 minutes on one core; the paper's cases need up to 4.5e10
LARGEST_LEAD_BYTES = 2.0**31  # 64 electrodes over the paper's finest raster have 0.6e9


class Granted(NamedTuple):
    """What is done with a configuration: its cases are read; they are drawn again."""

    read: bool
    redraw: bool


def check_limits(config: LibraryConfig) -> Generator[Fault, None, Granted]:
    """Whether a configuration can be checked at a bearable cost."""
    size_bytes, size = case_bytes(config), sheet_size(config)
    granted = Granted(read=size_bytes <= LARGEST_CASE_BYTES, redraw=size <= LARGEST_SHEET)
    if not granted.read:
        yield Fault(
            Check.VALUES,
            MANIFEST,
            f"by its config a case has {size_bytes:.2g} bytes, at most {LARGEST_CASE_BYTES:g} are "
            "granted: no case is read",
        )
    if not granted.redraw:
        yield Fault(
            Check.DRAWS,
            MANIFEST,
            f"by its config a sheet has up to {size:.2g} cells or nodes, at most "
            f"{LARGEST_SHEET:g} are granted: no case is drawn or simulated again",
        )
    return granted


def case_bytes(config: LibraryConfig) -> float:
    """Size of a case's tensors."""
    recording = config.recording
    frames, electrodes = float(recording.frames), recording.electrode_count
    pixels, maps = _square(recording.map_pixels), 1 + (config.tissue.diffusivity_variation > 0)
    return 2 * frames * pixels + 4 * maps * pixels + 4 * electrodes * frames + 24 * electrodes


def sheet_size(config: LibraryConfig) -> float:
    """Most cells of a raster, or nodes of a texture, that any case can have."""
    solved = max(_cells(config, bulk) for bulk in config.bulk_diffusivity_bounds_mm2_per_ms)
    size_mm = config.tissue.size_mm
    drawn = _square(size_mm / reach_spacing_mm(size_mm))
    return max(solved, drawn, _texture_nodes(config))


def node_updates(config: LibraryConfig, bulk_diffusivity_mm2_per_ms: float) -> float:
    """Cells times steps of a case, resting tissue included; an ECG's products count as well."""
    cells = _cells(config, bulk_diffusivity_mm2_per_ms)
    steps = config.recording.duration_ms / _resolution(config, bulk_diffusivity_mm2_per_ms).dt_ms
    return cells * (steps + config.recording.electrode_count * float(config.recording.frames))


def lead_bytes(config: LibraryConfig, bulk_diffusivity_mm2_per_ms: float) -> float:
    """Size of a case's lead fields, which are held while it is simulated."""
    return 4.0 * config.recording.electrode_count * _cells(config, bulk_diffusivity_mm2_per_ms)


def _resolution(config: LibraryConfig, bulk_diffusivity_mm2_per_ms: float) -> Resolution:
    return config.solver.resolution(*config.tissue.diffusivity_span(bulk_diffusivity_mm2_per_ms))


def _cells(config: LibraryConfig, bulk_diffusivity_mm2_per_ms: float) -> float:
    spacing_mm = _resolution(config, bulk_diffusivity_mm2_per_ms).spacing_mm
    return _square(config.tissue.size_mm / spacing_mm)


def _texture_nodes(config: LibraryConfig) -> float:
    """The finest texture has the smallest patches over the largest share, or varies D."""
    tissue = config.tissue
    patches = [
        (tissue.small_patch_size_mm[0], tissue.small_patch_fraction[1]),
        (tissue.large_patch_size_mm[0], tissue.large_patch_fraction[1]),
    ]
    if PATCH_SIZE_SHIFT in config.shifts:
        patches.append((tissue.shifted_patch_size_mm[0], tissue.large_patch_fraction[1]))
    # A share that is lost beside 1 has patches too rare to be drawn.
    lengths_mm = [smoothing_length_mm(size, share) for size, share in patches if 1 - share < 1]
    if tissue.diffusivity_variation > 0:
        lengths_mm.append(SMOOTHING_PER_CORRELATION_LENGTH * tissue.diffusivity_variation_length_mm)
    nodes = (tissue.size_mm * NODES_PER_SMOOTHING_LENGTH / mm for mm in lengths_mm)
    return max(map(_square, nodes), default=0.0)


def _square(value: float) -> float:
    """A product of floats, which becomes infinite where it is too large; a power would fail."""
    return float(value) * float(value)
