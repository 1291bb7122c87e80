"""Simulation of the monodomain equation du/dt = div(D grad u) - J_ion + J_stim as frames of u.

J_ion is the sum of the currents in `fenton_karma`. The time step divides the frame interval. A
stimulus current is added after each step that begins while the stimulus lasts. `Scheme` selects the
discretisation and the optimisations.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from fwdecg.errors import CaseError, TissueError
from fwdecg.physics.activity import STEPS_BETWEEN_CHECKS, ActivityTracker
from fwdecg.physics.diffusion import DIAGONAL_FRACTION, links
from fwdecg.physics.fenton_karma import Parameters, step_constants
from fwdecg.physics.padded_grid import PaddedGrid
from fwdecg.physics.resolution import stable_dt_ms
from fwdecg.physics.stepping import Coupling, State, advance
from fwdecg.physics.stimulus import Pacing, Stimulus, stimulated_cells
from fwdecg.physics.tissue import Tissue
from fwdecg.physics.velocity_correction import calibrate_diffusivity, continuum_velocity
from fwdecg.shapes import Field32

# With shorter steps the slow gates lose accuracy: their change per step is too small compared with
# their value in float32.
SMALLEST_DT_MS = 5e-4

# A wave locks to the cells if the number of steps in which it crosses a cell is this close to an
# integer and below this limit.
LOCKING_DISTANCE, LOCKING_STEPS_PER_CELL = 0.1, 16.0


@dataclass(frozen=True, kw_only=True)
class TimeGrid:
    """Times of the frames and of the solver's steps.

    Attributes:
        frame_interval_ms: time between frames; the first frame is tissue at rest at t = 0.
        frames: number of frames.
        largest_dt_ms: upper bound of the step; the step is the largest one that divides the
            interval.
    """

    frame_interval_ms: float
    frames: int
    largest_dt_ms: float

    def __post_init__(self) -> None:
        """Raise TissueError if there is no frame, or if interval or step is invalid."""
        if not (0 < self.frame_interval_ms < np.inf and self.frames >= 1):
            raise TissueError(
                f"{self.frames} frames every {self.frame_interval_ms} ms: there must be at least "
                "one frame, and the interval must be above 0"
            )
        if not SMALLEST_DT_MS <= self.largest_dt_ms < np.inf:
            raise TissueError(
                f"dt_ms = {self.largest_dt_ms:g}: must be at least {SMALLEST_DT_MS:g}, because "
                "smaller changes of the gates are lost in rounding; use a larger step"
            )
        if self.dt_ms * (1 + 1e-9) < SMALLEST_DT_MS:
            raise TissueError(
                f"a frame every {self.frame_interval_ms:g} ms in steps of up to "
                f"{self.largest_dt_ms:g} ms leaves steps of {self.dt_ms:g} ms: must be at least "
                f"{SMALLEST_DT_MS:g}, because smaller changes of the gates are lost in rounding; "
                "use a longer interval or a larger step"
            )

    @property
    def steps_per_frame(self) -> int:
        """Number of steps from one frame to the next."""
        return max(1, int(np.ceil(self.frame_interval_ms / self.largest_dt_ms - 1e-9)))

    @property
    def dt_ms(self) -> float:
        """Time step in ms."""
        return self.frame_interval_ms / self.steps_per_frame

    def without_locking(self, tissue: Tissue, parameters: Parameters) -> "TimeGrid":
        """Return this time grid, with a few more steps per frame if waves would lock to the cells.

        If a wave needs nearly an integer number of long steps to cross a cell, it settles at
        exactly that number, whatever the calibration of D. No time step avoids this for all values
        of a varying D, so in this case the time grid is returned unchanged.
        """
        conducting = tissue.diffusivity_mm2_per_ms[tissue.conducts]
        if conducting.min() < conducting.max():
            return self
        velocity_mm_per_ms = continuum_velocity(parameters) * float(np.sqrt(conducting[0]))
        crossing_ms = float(tissue.spacing_mm / velocity_mm_per_ms)
        steps = self.steps_per_frame
        while _locks(crossing_ms * steps / self.frame_interval_ms):
            steps += 1
        return replace(self, largest_dt_ms=self.frame_interval_ms / steps)


def _locks(steps_per_cell: float) -> bool:
    distance = abs(steps_per_cell - round(steps_per_cell))
    return steps_per_cell < LOCKING_STEPS_PER_CELL and distance < LOCKING_DISTANCE


class Scheme(NamedTuple):
    """The discretisation of the equation.

    Attributes:
        plain: whether to use explicit Euler and the five-point formula instead of a linearly
            implicit fast inward current and the nine-point formula (`stepping`, `diffusion`).
        calibrate: whether to raise D so that spacing and step do not slow a wave
            (`velocity_correction`); has no effect on the plain scheme.
        skip_rest: whether to skip tissue at rest (`activity`).
    """

    plain: bool = False
    calibrate: bool = True
    skip_rest: bool = True


PLAIN = Scheme(plain=True, skip_rest=False)
DEFAULT = Scheme()


class Simulation:
    """A simulation from rest; each iteration over it starts again and yields voltage frames."""

    def __init__(
        self,
        tissue: Tissue,
        pacing: Pacing,
        time_grid: TimeGrid,
        parameters: Parameters,
        scheme: Scheme = DEFAULT,
    ) -> None:
        """Prepare the couplings and stimuli on the raster.

        Raises:
            TissueError: the step is too large to be stable, or no wave propagates on the raster.
        """
        largest = float(tissue.diffusivity_mm2_per_ms.max())
        stable = stable_dt_ms(tissue.spacing_mm, largest, parameters, plain=scheme.plain)
        if time_grid.dt_ms > stable:
            raise TissueError(
                f"dt_ms = {time_grid.dt_ms:g}: must be at most {stable:.4g} for cells of "
                f"{tissue.spacing_mm:.3g} mm at D = {largest:g} mm^2/ms; use a smaller step or "
                "larger cells"
            )
        if scheme.calibrate and not scheme.plain:
            tissue = calibrate_diffusivity(tissue, time_grid.dt_ms, parameters)
        self._time_grid, self._scheme = time_grid, scheme
        self._constants = step_constants(parameters, time_grid.dt_ms)
        self._grid = grid = PaddedGrid(*tissue.diffusivity_mm2_per_ms.shape)
        self._coupling = _coupling(tissue, grid, time_grid.dt_ms, plain=scheme.plain)
        self._currents = [
            _Current.rasterise(stimulus, tissue, grid, time_grid.dt_ms) for stimulus in pacing
        ]
        self._parameters = parameters
        self._activity = self._new_tracker()

    def __iter__(self) -> Iterator[Field32]:
        """Yield the voltage u at t = 0, interval, 2 interval, ... as new (row, col) arrays.

        Raises:
            CaseError: u is no longer finite.
        """
        for u in self._views():
            yield u.copy()

    def _views(self) -> Iterator[Field32]:
        """Yield the frames as views of the solver's state, each valid until the next request."""
        time_grid, grid = self._time_grid, self._grid
        ones = np.ones((grid.rows, grid.cols))
        state = State(grid.zeros(), grid.zeros(), grid.pad(ones), grid.pad(ones))
        self._activity = activity = self._new_tracker()
        for frame in range(time_grid.frames):
            if frame > 0:
                first = (frame - 1) * time_grid.steps_per_frame
                state = self._solve(state, activity, first, first + time_grid.steps_per_frame)
            u = grid.interior(state.u)
            if not np.isfinite(u).all():
                time_ms = frame * time_grid.frame_interval_ms
                raise CaseError(
                    f"u is not finite at t = {time_ms:g} ms (dt_ms = {time_grid.dt_ms:g})"
                )
            yield u

    def stacks(self, frames: int) -> Iterator[Float32[np.ndarray, "frame row col"]]:
        """Yield the frames of an iteration in stacks of `frames`; the last stack may be smaller.

        A stack is contiguous, which saves later operations more time than the copy costs. It is
        valid until the next one is requested.

        Raises:
            CaseError: u is no longer finite.
        """
        stack = np.empty((frames, self._grid.rows, self._grid.cols), dtype=np.float32)
        filled = 0
        for u in self._views():
            stack[filled] = u
            filled += 1
            if filled == frames:
                yield stack
                filled = 0
        if filled:
            yield stack[:filled]

    @property
    def node_updates(self) -> int:
        """Number of cell updates (cells times steps) that the most recent iteration has computed.

        Skipped updates do not count. Among concurrent iterations, the most recent is the one that
        began last.
        """
        return self._activity.node_updates

    def _new_tracker(self) -> ActivityTracker:
        return ActivityTracker(self._grid, self._parameters, self._time_grid.dt_ms)

    def _solve(self, state: State, activity: ActivityTracker, first: int, last: int) -> State:
        """Take steps first <= step < last and bring all cells up to date; overwrites `state`."""
        for start, stop, paced in _intervals(self._currents, first, last):
            everywhere = paced or not self._scheme.skip_rest
            state = self._advance(state, activity, stop - start, everywhere=everywhere)
            for current in self._currents:
                if current.is_on(start):
                    state.u[current.cells] += current.gain
        activity.catch_up(state)
        return state

    def _advance(
        self, state: State, activity: ActivityTracker, steps: int, *, everywhere: bool
    ) -> State:
        """Take some steps; update the set of active tiles before a wave can leave it."""
        longest = steps if everywhere else STEPS_BETWEEN_CHECKS
        for done in range(0, steps, longest):
            together = min(longest, steps - done)
            runs = activity.next_runs(state, together, everywhere=everywhere)
            state = advance(
                state, self._coupling, self._constants, runs, together, self._scheme.plain
            )
        return state


@dataclass(frozen=True, kw_only=True)
class _Current:
    """A stimulus on a raster; it adds `gain` to u of `cells` in steps first <= step < last."""

    cells: Bool[np.ndarray, " cell"]
    gain: np.float32
    first: int
    last: int

    @classmethod
    def rasterise(
        cls, stimulus: Stimulus, tissue: Tissue, grid: PaddedGrid, dt_ms: float
    ) -> "_Current":
        first = round(stimulus.start_ms / dt_ms)
        steps = max(round(stimulus.duration_ms / dt_ms), 1)
        # The number of steps is rounded; the total charge is not.
        charge = stimulus.amplitude_per_ms * stimulus.duration_ms
        return cls(
            cells=grid.pad(stimulated_cells(stimulus, tissue)) > 0,
            gain=np.float32(charge / steps),
            first=first,
            last=first + steps,
        )

    def is_on(self, step: int) -> bool:
        """Return whether the current flows in a step."""
        return self.first <= step < self.last


def _intervals(currents: list[_Current], first: int, last: int) -> Iterator[tuple[int, int, bool]]:
    """Yield intervals (start, stop, paced): single paced steps, and the unpaced steps between."""
    start = first
    while start < last:
        paced = any(current.is_on(start) for current in currents)
        later_starts = [current.first for current in currents if current.first > start]
        stop = start + 1 if paced else min([last, *later_starts])
        yield start, stop, paced
        start = stop


def _coupling(tissue: Tissue, grid: PaddedGrid, dt_ms: float, *, plain: bool) -> Coupling:
    scale = dt_ms / tissue.spacing_mm**2
    link = links(tissue, diagonal_fraction=0.0 if plain else DIAGONAL_FRACTION)
    right, down, falling, rising = (grid.pad(field * scale) for field in link)
    return Coupling(right, down, falling, rising, grid.stride)
