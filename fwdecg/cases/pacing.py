"""The stimuli of a case: those of the configured protocol, their free parameters drawn."""

from dataclasses import dataclass

import numpy as np

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.physics.reentry import tail_arrival_ms
from fwdecg.physics.stimulus import Pacing, cross_field, focal, planar

PLANAR_TOP = "planar_top"  # name of a shifted stimulus


@dataclass(frozen=True, kw_only=True)
class DrawnPacing:
    """The stimuli of a case, and what was drawn for them.

    Attributes:
        protocol: their name in a library.
        stimuli: where, when and how strong.
        site_mm: x and y of a focal stimulus, else None.
        s2_start_ms: start of a second stimulus, else None.
    """

    protocol: str
    stimuli: Pacing
    site_mm: tuple[float, float] | None = None
    s2_start_ms: float | None = None


def draw_pacing(
    rng: np.random.Generator,
    config: LibraryConfig,
    *,
    diffusivity_mm2_per_ms: float,
    shifted: bool = False,
) -> DrawnPacing:
    """The pacing of a tissue.

    Args:
        rng: source of what is drawn; a plane wave takes nothing from it.
        config: of the library.
        diffusivity_mm2_per_ms: D of the tissue.
        shifted: whether a plane wave comes from the top edge.
    """
    protocol, size_mm = config.pacing.protocol, config.tissue.size_mm
    if protocol == "focal":
        x_mm, y_mm = rng.uniform(0, size_mm, 2).tolist()
        return DrawnPacing(protocol=protocol, stimuli=focal(x_mm, y_mm), site_mm=(x_mm, y_mm))
    if protocol == "reentry":
        tail_mm = rng.uniform(*config.pacing.tail_position) * size_mm / 2
        start_ms = tail_arrival_ms(tail_mm, diffusivity_mm2_per_ms, config.solver.parameters)
        stimuli = cross_field(size_mm, start_ms)
        return DrawnPacing(protocol=protocol, stimuli=stimuli, s2_start_ms=start_ms)
    if shifted:
        return DrawnPacing(protocol=PLANAR_TOP, stimuli=planar(edge="top"))
    return DrawnPacing(protocol=protocol, stimuli=planar())
