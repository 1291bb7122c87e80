"""Settings of the solver: cell model, scheme, and the resolution for a given tissue."""

from dataclasses import dataclass

from fwdecg.config import Configuration, setting
from fwdecg.physics.fenton_karma import PARAMETER_SETS, Parameters
from fwdecg.physics.monodomain import Scheme, TimeGrid
from fwdecg.physics.resolution import (
    Resolution,
    calibrated_dt_ms,
    cv_error,
    resolution_for,
    stable_dt_ms,
)
from fwdecg.physics.tissue import Tissue

# Largest allowed relative error of the conduction velocity; beyond it, waves are not resolved.
MAX_CV_ERROR = 0.3
# Upper bound of the time step as a fraction of the largest stable one. It takes effect where the
# user sets the spacing or D varies widely.
STABILITY_MARGIN = 0.9


@dataclass(frozen=True, kw_only=True)
class SolverConfig(Configuration):
    """Cell model, scheme and resolution of the simulations."""

    cell_model: str = setting(
        "FK-CAF",
        f"parameter set, one of {', '.join(PARAMETER_SETS)}",
        choices=tuple(PARAMETER_SETS),
    )
    scheme: str = setting(
        "calibrated",
        "calibrated: correct conduction velocity on coarse cells; plain: explicit Euler with a "
        "five-point stencil",
        choices=("calibrated", "plain"),
    )
    skip_rest: bool = setting(True, "skip resting tissue in every time step")
    cv_error: float = setting(
        0.02,
        "target relative error of the conduction velocity; determines spacing and time step",
        above=0,
        at_most=MAX_CV_ERROR,
    )
    spacing_mm: float | None = setting(
        None, "fixed side of a cell; overrides the one that cv_error determines", above=0
    )
    dt_ms: float | None = setting(
        None, "fixed time step; overrides the one that cv_error determines", above=0
    )

    @property
    def parameters(self) -> Parameters:
        """Parameters of the cell model."""
        return PARAMETER_SETS[self.cell_model]

    @property
    def plain(self) -> bool:
        """Whether to use the plain scheme."""
        return self.scheme == "plain"

    @property
    def discretisation(self) -> Scheme:
        """Scheme, as an argument of `Simulation`."""
        return Scheme(plain=self.plain, skip_rest=self.skip_rest)

    def time_grid(
        self, tissue: Tissue, largest_dt_ms: float, *, interval_ms: float, frames: int
    ) -> TimeGrid:
        """Return the time steps and frames of a simulation.

        Args:
            tissue: raster of D.
            largest_dt_ms: upper bound of the time step. Unless the user sets the time step, the
                calibrated scheme reduces it where a wave would lock to the grid.
            interval_ms: time between frames.
            frames: number of frames.
        """
        time_grid = TimeGrid(
            frame_interval_ms=interval_ms, frames=frames, largest_dt_ms=largest_dt_ms
        )
        if self.plain or self.dt_ms is not None:
            return time_grid
        return time_grid.without_locking(tissue, self.parameters)

    def resolution(self, smallest: float, largest: float | None = None) -> Resolution:
        """Return spacing and time step for a tissue.

        Args:
            smallest: smallest D of the tissue, in mm^2/ms.
            largest: largest D of the tissue, in mm^2/ms; default: `smallest`.
        """
        target = resolution_for(self.cv_error, smallest, self.parameters, plain=self.plain)
        spacing_mm = self.spacing_mm or target.spacing_mm
        if self.dt_ms is not None:
            return Resolution(spacing_mm=spacing_mm, dt_ms=self.dt_ms)
        if self.plain:
            accurate_ms = target.dt_ms
        else:
            accurate_ms = calibrated_dt_ms(spacing_mm, smallest, self.parameters)
        stable_ms = STABILITY_MARGIN * self.stable_dt_ms(spacing_mm, largest or smallest)
        return Resolution(spacing_mm=spacing_mm, dt_ms=min(accurate_ms, stable_ms))

    def stable_dt_ms(self, spacing_mm: float, diffusivity_mm2_per_ms: float) -> float:
        """Return the largest stable time step, in ms, on cells of `spacing_mm`."""
        return stable_dt_ms(spacing_mm, diffusivity_mm2_per_ms, self.parameters, plain=self.plain)

    def expected_cv_error(self, diffusivity_mm2_per_ms: float) -> float:
        """Return the expected relative error of the conduction velocity for a uniform D."""
        resolution = self.resolution(diffusivity_mm2_per_ms)
        return cv_error(resolution, diffusivity_mm2_per_ms, self.parameters, plain=self.plain)
