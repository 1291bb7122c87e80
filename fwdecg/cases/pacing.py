"""Pacing of a case: the protocol's settings, and the random draw of its free parameters."""

from dataclasses import dataclass

import numpy as np

from fwdecg.cases.tissue_config import Range
from fwdecg.config import Configuration, setting
from fwdecg.physics.fenton_karma import Parameters
from fwdecg.physics.reentry import tail_arrival_ms
from fwdecg.physics.stimulus import Pacing, cross_field, focal, planar

PLANAR, FOCAL, REENTRY = "planar", "focal", "reentry"
PLANAR_TOP = "planar_top"  # protocol name of a shifted plane wave in a library


@dataclass(frozen=True, kw_only=True)
class PacingConfig(Configuration):
    """Settings of the pacing protocol."""

    protocol: str = setting(
        PLANAR,
        "planar: plane wave from the left edge; focal: one random site; reentry: plane wave, then "
        "a second stimulus of the lower left quarter in the wave's wake, which starts a spiral",
        choices=(PLANAR, FOCAL, REENTRY),
    )
    tail_position: Range = setting(
        (0.5, 0.7),
        "reentry: range of the position of the wave's tail at the second stimulus, as a fraction "
        "of the quarter's width",
        above=0,
        below=1,
        ascending=True,
    )


@dataclass(frozen=True, kw_only=True)
class DrawnPacing:
    """The stimuli of a case and their drawn parameters.

    Attributes:
        protocol: name of the protocol in a library.
        stimuli: the stimuli.
        site_mm: x and y of a focal stimulus; None for other protocols.
        s2_start_ms: start of the second stimulus; None if there is only one.
    """

    protocol: str
    stimuli: Pacing
    site_mm: tuple[float, float] | None = None
    s2_start_ms: float | None = None


def draw_pacing(
    rng: np.random.Generator,
    config: PacingConfig,
    *,
    size_mm: float,
    diffusivity_mm2_per_ms: float,
    parameters: Parameters,
    shifted: bool = False,
) -> DrawnPacing:
    """Draw the pacing of a tissue.

    Args:
        rng: random generator; a plane wave draws nothing from it.
        config: pacing settings.
        size_mm: side of the sheet.
        diffusivity_mm2_per_ms: bulk D of the tissue.
        parameters: cell model.
        shifted: whether a plane wave starts from the top edge instead of the left one.
    """
    if config.protocol == FOCAL:
        x_mm, y_mm = rng.uniform(0, size_mm, 2).tolist()
        return DrawnPacing(protocol=FOCAL, stimuli=focal(x_mm, y_mm), site_mm=(x_mm, y_mm))
    if config.protocol == REENTRY:
        tail_mm = rng.uniform(*config.tail_position) * size_mm / 2
        start_ms = tail_arrival_ms(tail_mm, diffusivity_mm2_per_ms, parameters)
        stimuli = cross_field(size_mm, start_ms)
        return DrawnPacing(protocol=REENTRY, stimuli=stimuli, s2_start_ms=start_ms)
    if shifted:
        return DrawnPacing(protocol=PLANAR_TOP, stimuli=planar(edge="top"))
    return DrawnPacing(protocol=PLANAR, stimuli=planar())
