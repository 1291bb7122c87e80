"""The values of a case: finite, within physical bounds, at rest in the first frame."""

from collections.abc import Iterator

import numpy as np

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.library.check.rows import Row, RowCheck
from fwdecg.library.schema import CONDUCTING, DIFFUSIVITY, PHI_E, U
from fwdecg.physics.stimulus import AMPLITUDE_PER_MS, DURATION_MS

# No current drives u below rest. Above 1 the fast inward current turns outward; only the slow one
# lifts u further, in the published sets to 1.20 at most (FK98-BR; measured with both schemes at
# 2 and 30 % CV error). The margins leave room for rounding and a coarse step.
LOWEST_U, HIGHEST_U = -0.01, 1.3
# A second stimulus lifts tissue that is excited already.
LIFT = AMPLITUDE_PER_MS * DURATION_MS


def _u(row: Row, config: LibraryConfig) -> Iterator[str]:
    u = row[U]
    yield from _not_finite(U, u)
    highest = HIGHEST_U + (LIFT if config.pacing.protocol == "reentry" else 0.0)
    beyond = (u < LOWEST_U) | (u > highest)
    if beyond.any():
        yield (
            f"u runs from {np.nanmin(u):g} to {np.nanmax(u):g}: tissue stays between {LOWEST_U:g} "
            f"and {highest:g}, where 0 is rest and 1 the top of the upstroke"
        )
    if u[0].any():
        yield "u is not 0 in the first frame: every record begins at rest"


def _phi_e(row: Row, _: LibraryConfig) -> Iterator[str]:
    phi_e = row[PHI_E]
    yield from _not_finite(PHI_E, phi_e)
    if phi_e[:, 0].any():
        yield "phi_e is not 0 in the first frame: tissue at rest has no ECG"


def _diffusivity(row: Row, _: LibraryConfig) -> Iterator[str]:
    diffusivity = row[DIFFUSIVITY]
    yield from _not_finite(DIFFUSIVITY, diffusivity)
    if (diffusivity < 0).any():
        yield f"{DIFFUSIVITY} falls to {np.nanmin(diffusivity):g}: must be at least 0"


def _conducting(row: Row, _: LibraryConfig) -> Iterator[str]:
    share = row[CONDUCTING]
    if not ((share >= 0) & (share <= 1)).all():
        yield f"{CONDUCTING} runs from {np.min(share):g} to {np.max(share):g}: must be from 0 to 1"
    differing = (share > 0) != (row[DIFFUSIVITY] > 0)
    if differing.any():
        yield f"{CONDUCTING} and {DIFFUSIVITY} disagree on whether {differing.sum()} pixels conduct"


def _without_tissue(row: Row, _: LibraryConfig) -> Iterator[str]:
    excited = row[U].any(axis=0) & (row[DIFFUSIVITY] == 0)
    if excited.any():
        yield f"u is not 0 in {excited.sum()} pixels without tissue"


def _shares(row: Row, config: LibraryConfig) -> Iterator[str]:
    least = config.recording.least_activated_fraction
    for name, lowest in (("activated_fraction", least), ("active_fraction_at_end", 0.0)):
        share = row[name]
        if not lowest <= share <= 1:
            yield f"{name} is {share:g}: must be from {lowest:g} to 1"


def _not_finite(name: str, values: np.ndarray) -> Iterator[str]:
    count = int((~np.isfinite(values)).sum())
    if count:
        yield f"{name} is not finite in {count} of {values.size} values"


VALUE_CHECKS: tuple[RowCheck[LibraryConfig], ...] = (
    ((U,), _u),
    ((PHI_E,), _phi_e),
    ((DIFFUSIVITY,), _diffusivity),
    ((CONDUCTING, DIFFUSIVITY), _conducting),
    ((U, DIFFUSIVITY), _without_tissue),
    (("activated_fraction", "active_fraction_at_end"), _shares),
)
