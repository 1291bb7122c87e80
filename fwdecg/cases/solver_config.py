"""How finely a library is solved: the cell model, the scheme, and the resolution for a tissue."""

from dataclasses import dataclass

from fwdecg.config import check_settings, setting
from fwdecg.physics.fenton_karma import PUBLISHED, Parameters
from fwdecg.physics.monodomain import Clock, Scheme
from fwdecg.physics.resolution import (
    Resolution,
    calibrated_dt_ms,
    cv_error,
    resolution_for,
    stable_dt_ms,
)
from fwdecg.physics.tissue import Tissue

MAX_CV_ERROR = 0.3  # expected error of the conduction velocity beyond which no wave is resolved
# Of the largest stable step, where the spacing is the user's, or D varies much.
STABILITY_MARGIN = 0.9


@dataclass(frozen=True, kw_only=True)
class SolverConfig:
    """The cell model and how finely the equation is solved."""

    cell_model: str = setting(
        "FK-CAF", f"parameter set, one of {', '.join(PUBLISHED)}", choices=tuple(PUBLISHED)
    )
    scheme: str = setting(
        "calibrated",
        "calibrated: right velocity on coarse cells; plain: explicit Euler, five points",
        choices=("calibrated", "plain"),
    )
    skip_rest: bool = setting(True, "leave tissue at rest out of the steps")
    cv_error: float = setting(
        0.02,
        "target of the relative error of the conduction velocity; sets spacing and step",
        above=0,
        at_most=MAX_CV_ERROR,
    )
    spacing_mm: float | None = setting(
        None, "fixed side of a cell instead of the target's", above=0
    )
    dt_ms: float | None = setting(None, "fixed step instead of the target's", above=0)

    def __post_init__(self) -> None:
        """Check each value."""
        check_settings(self)

    @property
    def parameters(self) -> Parameters:
        """The published parameter set."""
        return PUBLISHED[self.cell_model]

    @property
    def plain(self) -> bool:
        """Whether the scheme is the plain one."""
        return self.scheme == "plain"

    @property
    def discretisation(self) -> Scheme:
        """The scheme as the solver takes it."""
        return Scheme(plain=self.plain, skip_rest=self.skip_rest)

    @property
    def fixed(self) -> bool:
        """Whether spacing or step are the user's instead of the target's."""
        return self.spacing_mm is not None or self.dt_ms is not None

    def clock(
        self, tissue: Tissue, largest_dt_ms: float, *, interval_ms: float, frames: int
    ) -> Clock:
        """Steps and frames of a tissue's simulation.

        Args:
            tissue: the raster.
            largest_dt_ms: the step asked for; a user's is kept, another avoids locking.
            interval_ms: time between frames.
            frames: their number.
        """
        clock = Clock(frame_interval_ms=interval_ms, frames=frames, largest_dt_ms=largest_dt_ms)
        if self.plain or self.dt_ms is not None:
            return clock
        return clock.without_locking(tissue, self.parameters)

    def resolution(self, smallest: float, largest: float | None = None) -> Resolution:
        """Spacing and step for a tissue.

        Args:
            smallest: D of the tissue where it is smallest, in mm^2/ms.
            largest: where it is largest, unless D is uniform.
        """
        aimed = resolution_for(self.cv_error, smallest, self.parameters, plain=self.plain)
        spacing_mm = self.spacing_mm or aimed.spacing_mm
        dt_ms = self.dt_ms or min(
            self._dt_ms(spacing_mm, smallest, aimed),
            STABILITY_MARGIN * self.stable_dt_ms(spacing_mm, largest or smallest),
        )
        return Resolution(spacing_mm=spacing_mm, dt_ms=dt_ms)

    def _dt_ms(self, spacing_mm: float, diffusivity_mm2_per_ms: float, aimed: Resolution) -> float:
        """The scheme's own step: the plain one's goes with the target, the other's with a cell."""
        if self.plain:
            return aimed.dt_ms
        return calibrated_dt_ms(spacing_mm, diffusivity_mm2_per_ms, self.parameters)

    def stable_dt_ms(self, spacing_mm: float, diffusivity_mm2_per_ms: float) -> float:
        """Largest stable step on cells of `spacing_mm`."""
        return stable_dt_ms(spacing_mm, diffusivity_mm2_per_ms, self.parameters, plain=self.plain)

    def expected_cv_error(self, diffusivity_mm2_per_ms: float) -> float:
        """Expected relative error of the conduction velocity at that resolution."""
        resolution = self.resolution(diffusivity_mm2_per_ms)
        return cv_error(resolution, diffusivity_mm2_per_ms, self.parameters, plain=self.plain)
