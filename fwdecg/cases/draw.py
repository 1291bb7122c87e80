"""(configuration, case id) -> case: the random draws that make one tissue."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.ndimage import label

from fwdecg.cases.diffusivity_variation import draw_variation
from fwdecg.cases.library_config import LibraryConfig, TissueConfig
from fwdecg.cases.pacing import draw_pacing
from fwdecg.cases.patches import draw_scar
from fwdecg.cases.shifts import DIFFUSIVITY, ELECTRODE, PATCH_SIZE, STIMULUS, Place, place_of
from fwdecg.errors import CaseError, TissueError
from fwdecg.physics.stimulus import Pacing, stimulated_cells
from fwdecg.physics.tissue import Sheet, Variation
from fwdecg.shapes import Electrodes

# A sheet is redrawn if the stimulus cannot reach this share of its conducting tissue.
LEAST_REACHABLE_FRACTION = 0.5
LARGEST_REDRAWS = 100
# Its raster, coarse beside the solver's; a stimulus always covers the centre of some cell of it.
REACH_RASTER_CELLS, LARGEST_REACH_SPACING_MM = 200, 1.0


@dataclass(frozen=True, kw_only=True)
class CaseSpec:
    """The drawn parameters of a case; with the configuration they determine it entirely.

    Attributes:
        case_id: number of the case in its library.
        condition: name of the tissue condition.
        split: "train", "validation", "test", or the test split of a shift.
        seed: of this case's own random generator.
        redraws: sheets that were thrown away because the stimulus was blocked.
        bulk_diffusivity_mm2_per_ms: D of the conducting tissue; what it varies about, if it does.
        patch_size_mm: mean size of the patches, 0 if there are none.
        patch_fraction: share of the area they cover.
        stimulus: pacing protocol.
        stimulus_x_mm: focal site, None for a plane wave.
        stimulus_y_mm: likewise.
        stimulus_s2_start_ms: start of a second stimulus, None if there is but one.
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

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A case ready to be simulated: its parameters, and sheet, pacing and electrodes in mm."""

    spec: CaseSpec
    sheet: Sheet
    pacing: Pacing
    electrodes_mm: Electrodes


def draw_case(config: LibraryConfig, case_id: int) -> Case:
    """The case with a given id; the same for every run, worker and library size.

    Raises:
        CaseError: no sheet could be drawn that the stimulus can activate.
    """
    for redraws in range(LARGEST_REDRAWS):
        case = _draw(config, case_id, redraws)
        if _reachable_fraction(case) >= LEAST_REACHABLE_FRACTION:
            return case
    raise CaseError(
        f"case {case_id}: the stimulus is blocked in each of {LARGEST_REDRAWS} drawn sheets; "
        "lower tissue.large_patch_fraction or tissue.large_patch_size_mm"
    )


def drawn_diffusivity(config: LibraryConfig, case_id: int) -> float:
    """Bulk D in mm^2/ms of a case, unless its first sheet has to be drawn again."""
    place = place_of(case_id, config.shifts)
    rng = np.random.default_rng(_seed(config, place, redraws=0))
    return _draw_diffusivity(rng, config.tissue, place)


def reach_spacing_mm(size_mm: float) -> float:
    """Side in mm of the cells on which it is decided what of a sheet the stimulus can reach."""
    return min(size_mm / REACH_RASTER_CELLS, LARGEST_REACH_SPACING_MM)


def _seed(config: LibraryConfig, place: Place, redraws: int) -> int:
    rank, *shift = place.stream
    entropy = np.random.SeedSequence([config.seed, rank, redraws, *shift])
    return int(entropy.generate_state(1, np.uint64)[0] >> np.uint64(1))  # fits a signed int64


def _draw(config: LibraryConfig, case_id: int, redraws: int) -> Case:
    tissue, place = config.tissue, place_of(case_id, config.shifts)
    seed = _seed(config, place, redraws)
    rng = np.random.default_rng(seed)
    diffusivity = _draw_diffusivity(rng, tissue, place)
    size_mm, fraction = _draw_patches(rng, tissue, place)
    scar = None
    if fraction > 0:
        scar = draw_scar(rng, tissue.size_mm, patch_size_mm=size_mm, fraction=fraction)
    pacing = draw_pacing(
        rng, config, diffusivity_mm2_per_ms=diffusivity, shifted=place.shift == STIMULUS
    )
    x_mm, y_mm = pacing.site_mm or (None, None)
    spec = CaseSpec(
        case_id=case_id,
        condition=place.condition.name,
        split=place.split,
        seed=seed,
        redraws=redraws,
        bulk_diffusivity_mm2_per_ms=diffusivity,
        patch_size_mm=size_mm,
        patch_fraction=fraction,
        stimulus=pacing.protocol,
        stimulus_x_mm=x_mm,
        stimulus_y_mm=y_mm,
        stimulus_s2_start_ms=pacing.s2_start_ms,
    )
    sheet = Sheet(
        size_mm=tissue.size_mm,
        diffusivity_mm2_per_ms=diffusivity,
        scar=scar,
        variation=_draw_variation(rng, tissue),
    )
    return Case(
        spec=spec,
        sheet=sheet,
        pacing=pacing.stimuli,
        electrodes_mm=config.recording.electrodes(tissue.size_mm, shifted=place.shift == ELECTRODE),
    )


def _draw_diffusivity(rng: np.random.Generator, tissue: TissueConfig, place: Place) -> float:
    if place.shift == DIFFUSIVITY:
        return rng.uniform(*tissue.shifted_diffusivity_mm2_per_ms)
    if place.condition.remodelled:
        return rng.uniform(*tissue.remodelled_diffusivity_mm2_per_ms)
    return rng.uniform(*tissue.healthy_diffusivity_mm2_per_ms)


def _draw_patches(
    rng: np.random.Generator, tissue: TissueConfig, place: Place
) -> tuple[float, float]:
    """Size in mm and covered share of the patches."""
    patches = place.condition.patches
    if patches == "none":
        return 0.0, 0.0
    if patches == "small":
        return rng.uniform(*tissue.small_patch_size_mm), rng.uniform(*tissue.small_patch_fraction)
    shifted = place.shift == PATCH_SIZE
    sizes_mm = tissue.shifted_patch_size_mm if shifted else tissue.large_patch_size_mm
    return rng.uniform(*sizes_mm), rng.uniform(*tissue.large_patch_fraction)


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
    """Share of the conducting tissue that is connected to the first stimulated region."""
    tissue = case.sheet.rasterise(reach_spacing_mm(case.sheet.size_mm))
    try:
        stimulated = stimulated_cells(case.pacing[0], tissue)
    except TissueError:
        return 0.0
    regions, _ = label(tissue.conducts)
    reachable = np.isin(regions, np.unique(regions[stimulated]))
    return float(reachable.sum() / tissue.conducts.sum())
