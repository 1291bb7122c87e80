"""Draw a case at random from the configuration of a library and a case id."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import label

from fwdecg.cases.ellipses import draw_ellipses, mean_diameter_mm
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.pacing import draw_pacing
from fwdecg.cases.random_fields import draw_scar, draw_variation
from fwdecg.cases.splits import (
    DIFFUSIVITY_SHIFT,
    ELECTRODE_SHIFT,
    PATCH_SIZE_SHIFT,
    STIMULUS_SHIFT,
    Assignment,
    assign_case,
)
from fwdecg.cases.tissue_config import ELLIPSES, TissueConfig
from fwdecg.errors import CaseError, TissueError
from fwdecg.physics.stimulus import Pacing, stimulated_cells
from fwdecg.physics.tissue import Ellipses, Scar, Sheet, Variation
from fwdecg.shapes import Electrodes

# A sheet is drawn again if the stimulus can reach less than this fraction of its conducting tissue.
MIN_REACHABLE_FRACTION = 0.5
MAX_REDRAWS = 100
RANDOM_FIELD_REMEDY = "tissue.large_patch_fraction or tissue.large_patch_size_mm"
ELLIPSES_REMEDY = "tissue.ellipses.number or tissue.ellipses.large_half_axis_mm"
# The raster for this test is coarser than the solver's, but fine enough for every stimulus to
# cover the centre of at least one cell.
REACH_RASTER_CELLS, MAX_REACH_SPACING_MM = 200, 1.0
AREA_RASTER_CELLS = 1000  # raster on which the area of elliptic patches is measured


@dataclass(frozen=True, kw_only=True)
class CaseSpec:
    """The drawn parameters of a case; together with the configuration they determine it.

    Attributes:
        case_id: number of the case in its library.
        condition: name of the tissue condition.
        split: "train", "validation", "test", or the test split of a shift.
        seed: seed of the case's own random generator.
        redraws: number of sheets discarded because the stimulus was blocked.
        bulk_diffusivity_mm2_per_ms: D of the conducting tissue, or the value about which it varies.
        patch_size_mm: mean length of a straight line inside a patch, or mean diameter of elliptic
            patches; 0 without patches.
        patch_fraction: fraction of the area that the patches cover.
        stimulus: name of the pacing protocol.
        stimulus_x_mm: x of a focal site; None for a plane wave.
        stimulus_y_mm: y of a focal site; None for a plane wave.
        stimulus_s2_start_ms: start of the second stimulus; None if there is only one.
    """

    case_id: int
    condition: str
    split: str
    seed: int
    redraws: int
    bulk_diffusivity_mm2_per_ms: float
    patch_size_mm: float
    patch_fraction: float
    stimulus: str
    stimulus_x_mm: float | None
    stimulus_y_mm: float | None
    stimulus_s2_start_ms: float | None


@dataclass(frozen=True, kw_only=True)
class Case:
    """A case ready for simulation.

    Attributes:
        spec: drawn parameters.
        sheet: tissue, in mm.
        pacing: stimuli.
        electrodes_mm: x, y and z of each electrode from the top left corner.
    """

    spec: CaseSpec
    sheet: Sheet
    pacing: Pacing
    electrodes_mm: Electrodes


def draw_case(config: LibraryConfig, case_id: int) -> Case:
    """Draw the case with this id; it is the same for every run, worker and library size.

    Raises:
        CaseError: the stimulus is blocked in every drawn sheet.
    """
    for redraws in range(MAX_REDRAWS):
        case = _draw(config, case_id, redraws)
        if _reachable_fraction(case) >= MIN_REACHABLE_FRACTION:
            return case
    ellipses = config.tissue.texture == ELLIPSES
    remedy = ELLIPSES_REMEDY if ellipses else RANDOM_FIELD_REMEDY
    raise CaseError(
        f"case {case_id}: the stimulus is blocked in each of {MAX_REDRAWS} drawn sheets; "
        f"lower {remedy}"
    )


def draw_bulk_diffusivity(config: LibraryConfig, case_id: int) -> float:
    """Return the bulk D, in mm^2/ms, of the first sheet drawn for a case.

    If this sheet is rejected, the next one has another D.
    """
    assignment = assign_case(case_id, config.shifts)
    rng = np.random.default_rng(_seed(config, assignment, redraws=0))
    return _draw_diffusivity(rng, config.tissue, assignment)


def reach_spacing_mm(size_mm: float) -> float:
    """Return the cell size, in mm, of the raster that tests which tissue a stimulus can reach."""
    return min(size_mm / REACH_RASTER_CELLS, MAX_REACH_SPACING_MM)


def _seed(config: LibraryConfig, assignment: Assignment, redraws: int) -> int:
    rank, *shift = assignment.random_stream
    entropy = np.random.SeedSequence([config.seed, rank, redraws, *shift])
    return int(entropy.generate_state(1, np.uint64)[0] >> np.uint64(1))  # fits a signed int64


def _draw(config: LibraryConfig, case_id: int, redraws: int) -> Case:
    tissue, assignment = config.tissue, assign_case(case_id, config.shifts)
    seed = _seed(config, assignment, redraws)
    # Another order of the draws would change the cases of every library.
    rng = np.random.default_rng(seed)
    diffusivity = _draw_diffusivity(rng, tissue, assignment)
    patches = _draw_patches(rng, tissue, assignment)
    pacing = draw_pacing(
        rng,
        config.pacing,
        size_mm=tissue.size_mm,
        diffusivity_mm2_per_ms=diffusivity,
        parameters=config.solver.parameters,
        shifted=assignment.shift == STIMULUS_SHIFT,
    )
    x_mm, y_mm = pacing.site_mm or (None, None)
    spec = CaseSpec(
        case_id=case_id,
        condition=assignment.condition.name,
        split=assignment.split,
        seed=seed,
        redraws=redraws,
        bulk_diffusivity_mm2_per_ms=diffusivity,
        patch_size_mm=patches.size_mm,
        patch_fraction=patches.fraction,
        stimulus=pacing.protocol,
        stimulus_x_mm=x_mm,
        stimulus_y_mm=y_mm,
        stimulus_s2_start_ms=pacing.s2_start_ms,
    )
    sheet = Sheet(
        size_mm=tissue.size_mm,
        diffusivity_mm2_per_ms=diffusivity,
        scar=patches.scar,
        variation=_draw_variation(rng, tissue),
    )
    shifted_electrodes = assignment.shift == ELECTRODE_SHIFT
    electrodes_mm = config.recording.electrodes(tissue.size_mm, shifted=shifted_electrodes)
    return Case(spec=spec, sheet=sheet, pacing=pacing.stimuli, electrodes_mm=electrodes_mm)


def _draw_diffusivity(
    rng: np.random.Generator, tissue: TissueConfig, assignment: Assignment
) -> float:
    if assignment.shift == DIFFUSIVITY_SHIFT:
        return rng.uniform(*tissue.shifted_diffusivity_mm2_per_ms)
    if assignment.condition.remodelled:
        return rng.uniform(*tissue.remodelled_diffusivity_mm2_per_ms)
    return rng.uniform(*tissue.healthy_diffusivity_mm2_per_ms)


class _Patches(NamedTuple):
    """The patches of a case, their size, and the fraction of the area that they cover."""

    scar: Scar | Ellipses | None = None
    size_mm: float = 0.0
    fraction: float = 0.0


def _draw_patches(
    rng: np.random.Generator, tissue: TissueConfig, assignment: Assignment
) -> _Patches:
    small = assignment.condition.patches == "small"
    shifted = assignment.shift == PATCH_SIZE_SHIFT
    if assignment.condition.patches == "none":
        return _Patches()
    if tissue.texture == ELLIPSES:
        return _draw_ellipses(rng, tissue, small=small, shifted=shifted)
    large_mm = tissue.shifted_patch_size_mm if shifted else tissue.large_patch_size_mm
    size_mm = rng.uniform(*(tissue.small_patch_size_mm if small else large_mm))
    fraction = rng.uniform(*(tissue.small_patch_fraction if small else tissue.large_patch_fraction))
    if fraction == 0:
        return _Patches(size_mm=size_mm)
    scar = draw_scar(rng, tissue.size_mm, patch_size_mm=size_mm, fraction=fraction)
    return _Patches(scar, size_mm, fraction)


def _draw_ellipses(
    rng: np.random.Generator, tissue: TissueConfig, *, small: bool, shifted: bool
) -> _Patches:
    config = tissue.ellipses
    large_mm = config.shifted_half_axis_mm if shifted else config.large_half_axis_mm
    scar = draw_ellipses(
        rng,
        tissue.size_mm,
        half_axis_mm=config.small_half_axis_mm if small else large_mm,
        config=config,
    )
    covered = scar.covers(AREA_RASTER_CELLS, tissue.size_mm)
    return _Patches(scar, mean_diameter_mm(scar), float(covered.mean()))


def _draw_variation(rng: np.random.Generator, tissue: TissueConfig) -> Variation | None:
    if tissue.diffusivity_variation == 0:
        return None
    return draw_variation(
        rng,
        tissue.size_mm,
        amplitude=tissue.diffusivity_variation,
        length_mm=tissue.diffusivity_variation_length_mm,
    )


def _reachable_fraction(case: Case) -> float:
    """Return the fraction of the conducting tissue connected to the first stimulated region."""
    try:
        tissue = case.sheet.rasterise(reach_spacing_mm(case.sheet.size_mm))
        stimulated = stimulated_cells(case.pacing[0], tissue)
    except TissueError:  # ellipses may cover the whole sheet, or all of the stimulus
        return 0.0
    regions, _ = label(tissue.conducts)
    reachable = np.isin(regions, np.unique(regions[stimulated]))
    return float(reachable.sum() / tissue.conducts.sum())
