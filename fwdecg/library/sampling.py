"""(seed, case id) -> case: the random draws that make one tissue."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.ndimage import label

from fwdecg.errors import CaseError, TissueError
from fwdecg.library.conditions import Condition, condition_of
from fwdecg.library.config import LibraryConfig, TissueConfig
from fwdecg.library.fibrosis import draw_scar
from fwdecg.library.splits import split_of
from fwdecg.physics.stimulus import Pacing, focal, planar, stimulated_cells
from fwdecg.physics.tissue import Sheet

# A sheet is redrawn if the stimulus cannot reach this share of its conducting tissue.
LEAST_REACHABLE_FRACTION = 0.5
LARGEST_REDRAWS = 100
REACH_RASTER_CELLS = 200


@dataclass(frozen=True, kw_only=True)
class CaseSpec:
    """The drawn parameters of a case; with the configuration they determine it entirely.

    Attributes:
        case_id: number of the case in its library.
        condition: name of the tissue condition.
        split: "train", "validation" or "test".
        seed: of this case's own random generator.
        redraws: sheets that were thrown away because the stimulus was blocked.
        bulk_diffusivity_mm2_per_ms: D of the conducting tissue.
        patch_size_mm: mean size of the patches, 0 if there are none.
        patch_fraction: share of the area they cover.
        stimulus: pacing protocol.
        stimulus_x_mm: focal site, None for a plane wave.
        stimulus_y_mm: likewise.
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

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A case ready to be simulated: its parameters, its sheet in mm and its pacing."""

    spec: CaseSpec
    sheet: Sheet
    pacing: Pacing


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
    """D in mm^2/ms of a case, unless its first sheet has to be drawn again."""
    rng = np.random.default_rng(_seed(config, case_id, redraws=0))
    return _draw_diffusivity(rng, config.tissue, condition_of(case_id))


def _seed(config: LibraryConfig, case_id: int, redraws: int) -> int:
    entropy = np.random.SeedSequence([config.seed, case_id, redraws])
    return int(entropy.generate_state(1, np.uint64)[0] >> np.uint64(1))  # fits a signed int64


def _draw(config: LibraryConfig, case_id: int, redraws: int) -> Case:
    seed = _seed(config, case_id, redraws)
    rng = np.random.default_rng(seed)
    tissue, condition = config.tissue, condition_of(case_id)
    diffusivity = _draw_diffusivity(rng, tissue, condition)
    size_mm, fraction = _draw_patches(rng, tissue, condition)
    scar = None
    if fraction > 0:
        scar = draw_scar(rng, tissue.size_mm, patch_size_mm=size_mm, fraction=fraction)
    site_mm = _draw_site(rng, config)
    spec = CaseSpec(
        case_id=case_id,
        condition=condition.name,
        split=split_of(case_id),
        seed=seed,
        redraws=redraws,
        bulk_diffusivity_mm2_per_ms=diffusivity,
        patch_size_mm=size_mm,
        patch_fraction=fraction,
        stimulus=config.pacing.protocol,
        stimulus_x_mm=site_mm[0] if site_mm else None,
        stimulus_y_mm=site_mm[1] if site_mm else None,
    )
    sheet = Sheet(size_mm=tissue.size_mm, diffusivity_mm2_per_ms=diffusivity, scar=scar)
    return Case(spec=spec, sheet=sheet, pacing=focal(*site_mm) if site_mm else planar())


def _draw_diffusivity(
    rng: np.random.Generator, tissue: TissueConfig, condition: Condition
) -> float:
    if condition.remodelled:
        return rng.uniform(*tissue.remodelled_diffusivity_mm2_per_ms)
    return rng.uniform(*tissue.healthy_diffusivity_mm2_per_ms)


def _draw_patches(
    rng: np.random.Generator, tissue: TissueConfig, condition: Condition
) -> tuple[float, float]:
    """Size in mm and covered share of a condition's patches."""
    if condition.patches == "none":
        return 0.0, 0.0
    if condition.patches == "small":
        return rng.uniform(*tissue.small_patch_size_mm), rng.uniform(*tissue.small_patch_fraction)
    return rng.uniform(*tissue.large_patch_size_mm), rng.uniform(*tissue.large_patch_fraction)


def _draw_site(rng: np.random.Generator, config: LibraryConfig) -> tuple[float, float] | None:
    """Where a focal stimulus is, in mm; None for a plane wave."""
    if config.pacing.protocol == "planar":
        return None
    x_mm, y_mm = rng.uniform(0, config.tissue.size_mm, 2).tolist()
    return x_mm, y_mm


def _reachable_fraction(case: Case) -> float:
    """Share of the conducting tissue that is connected to the stimulated region."""
    tissue = case.sheet.rasterise(case.sheet.size_mm / REACH_RASTER_CELLS)
    try:
        stimulated = stimulated_cells(case.pacing[0], tissue)
    except TissueError:
        return 0.0
    regions, _ = label(tissue.conducts)
    reachable = np.isin(regions, np.unique(regions[stimulated]))
    return float(reachable.sum() / tissue.conducts.sum())
