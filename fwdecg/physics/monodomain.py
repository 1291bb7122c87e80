"""The monodomain equation in time: du/dt = div(D grad u) - J_ion + J_stim, as frames of u.

The step divides the frame interval; the current of a stimulus is added after each step that begins
while it lasts. `Scheme` says by which means a run is made cheap; with `PLAIN` by none.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from fwdecg.errors import CaseError, TissueError
from fwdecg.physics.activity import STEPS_BETWEEN_LOOKS, Activity
from fwdecg.physics.diffusion import DIAGONAL_SHARE, links
from fwdecg.physics.fenton_karma import Parameters, rates
from fwdecg.physics.padded_grid import Layout
from fwdecg.physics.resolution import stable_dt_ms
from fwdecg.physics.stepping import Coupling, State, advance
from fwdecg.physics.stimulus import Pacing, Stimulus, stimulated_cells
from fwdecg.physics.tissue import Tissue
from fwdecg.physics.velocity_correction import calibrated, continuum_velocity
from fwdecg.shapes import Field32

# With shorter steps the rounding of float32 spoils the slow gates: what they gain in a step is too
# small against their value.
SMALLEST_DT_MS = 5e-4

# Steps in which a wave crosses a cell: this near to a whole number it locks to the grid, unless
# they are so many that a single one no longer counts.
LOCKING_DISTANCE, FREE_STEPS_A_CELL = 0.1, 16.0


@dataclass(frozen=True, kw_only=True)
class Clock:
    """When frames are taken and how far a step goes.

    Attributes:
        frame_interval_ms: time between frames; the first is the resting tissue at t = 0.
        frames: their number.
        largest_dt_ms: upper bound of the step; the step is the largest that divides the interval.
    """

    frame_interval_ms: float
    frames: int
    largest_dt_ms: float

    def __post_init__(self) -> None:
        """Refuse a clock that does not run."""
        if not (0 < self.frame_interval_ms < np.inf and self.frames >= 1):
            raise TissueError(
                f"{self.frames} frames every {self.frame_interval_ms} ms: there must be at least "
                "one frame, and the interval must be above 0"
            )
        if not SMALLEST_DT_MS <= self.largest_dt_ms < np.inf:
            raise TissueError(
                f"dt_ms = {self.largest_dt_ms:g}: must be at least {SMALLEST_DT_MS:g}, below which "
                "the gates' gain of a step is lost in rounding; use a larger step"
            )
        if self.dt_ms * (1 + 1e-9) < SMALLEST_DT_MS:
            raise TissueError(
                f"a frame every {self.frame_interval_ms:g} ms in steps of up to "
                f"{self.largest_dt_ms:g} ms leaves steps of {self.dt_ms:g} ms: must be at least "
                f"{SMALLEST_DT_MS:g}, below which the gates' gain of a step is lost in rounding; "
                "use a longer interval or a larger step"
            )

    @property
    def steps_per_frame(self) -> int:
        """Steps from one frame to the next."""
        return max(1, int(np.ceil(self.frame_interval_ms / self.largest_dt_ms - 1e-9)))

    @property
    def dt_ms(self) -> float:
        """The step in ms."""
        return self.frame_interval_ms / self.steps_per_frame

    def without_locking(self, tissue: Tissue, parameters: Parameters) -> "Clock":
        """This clock, or one with a few more steps a frame, so that no wave locks to the grid.

        Where a wave takes nearly a whole number of long steps to cross a cell, it comes to take
        exactly that number, however D is calibrated. In tissue of one D that can be avoided.
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


def _locks(steps_a_cell: float) -> bool:
    distance = abs(steps_a_cell - round(steps_a_cell))
    return steps_a_cell < FREE_STEPS_A_CELL and distance < LOCKING_DISTANCE


class Scheme(NamedTuple):
    """How the equation is discretised.

    Attributes:
        plain: explicit Euler on the five-point formula, instead of a linearly implicit fast inward
            current on the nine-point formula (`stepping`, `diffusion`).
        calibrate: raise D until spacing and step no longer slow a wave (`calibration`); the plain
            scheme never does.
        skip_rest: leave tissue at rest out of the steps (`activity`).
    """

    plain: bool = False
    calibrate: bool = True
    skip_rest: bool = True


PLAIN = Scheme(plain=True, skip_rest=False)
DEFAULT = Scheme()


class Simulation:
    """A simulation: iterating over it solves it, from rest each time, and gives voltage frames."""

    def __init__(
        self,
        tissue: Tissue,
        pacing: Pacing,
        clock: Clock,
        parameters: Parameters,
        scheme: Scheme = DEFAULT,
    ) -> None:
        """Lay out a tissue at rest.

        Raises:
            TissueError: the step is larger than is stable on this raster, or no wave runs on it.
        """
        _require_stable(tissue, clock, parameters, plain=scheme.plain)
        if scheme.calibrate and not scheme.plain:
            tissue = calibrated(tissue, clock.dt_ms, parameters)
        self._clock, self._scheme = clock, scheme
        self._rates = rates(parameters, clock.dt_ms)
        self._layout = layout = Layout(*tissue.diffusivity_mm2_per_ms.shape)
        self._coupling = _coupling(tissue, layout, clock.dt_ms, plain=scheme.plain)
        self._currents = [_Current.on(stimulus, tissue, layout, clock.dt_ms) for stimulus in pacing]
        self._parameters = parameters
        self._activity = self._nothing_done()

    def __iter__(self) -> Iterator[Field32]:
        """The voltage u at t = 0, interval, 2 interval, ...: one (row, col) array per frame.

        A frame is a view of the solver's state, valid until the next one is asked for.

        Raises:
            CaseError: u stops being finite.
        """
        clock = self._clock
        state, activity = _at_rest(self._layout), self._nothing_done()
        self._activity = activity
        for frame in range(clock.frames):
            if frame > 0:
                first = (frame - 1) * clock.steps_per_frame
                state = self._solved(state, activity, first, first + clock.steps_per_frame)
            u = self._layout.view(state.u)
            if not np.isfinite(u).all():
                time_ms = frame * clock.frame_interval_ms
                raise CaseError(f"u is not finite at t = {time_ms:g} ms (dt_ms = {clock.dt_ms:g})")
            yield u

    def in_stacks(self, frames: int) -> Iterator[Float32[np.ndarray, "frame row col"]]:
        """The frames of an iteration, so many at a time, the last time perhaps fewer.

        A stack has no gaps between its rows: what is done with it takes less time than copying it.

        A stack is valid until the next one is asked for.

        Raises:
            CaseError: u stops being finite.
        """
        stack = np.empty((frames, self._layout.rows, self._layout.cols), dtype=np.float32)
        held = 0
        for u in self:
            stack[held] = u
            held += 1
            if held == frames:
                yield stack
                held = 0
        if held:
            yield stack[:held]

    @property
    def node_updates(self) -> int:
        """Cells times steps that the last iteration has computed so far; skipped ones do not count.

        0 before the first one; of several at a time, the last is the one that began last.
        """
        return self._activity.node_updates

    def _nothing_done(self) -> Activity:
        return Activity(self._layout, self._parameters, self._clock.dt_ms)

    def _solved(self, state: State, activity: Activity, first: int, last: int) -> State:
        """After steps first <= step < last, all cells up to date; `state` is overwritten."""
        for start, stop, paced in _stretches(self._currents, first, last):
            everywhere = paced or not self._scheme.skip_rest
            state = self._advanced(state, activity, stop - start, everywhere=everywhere)
            for current in self._currents:
                current.add(state, start)
        activity.settle(state)
        return state

    def _advanced(self, state: State, activity: Activity, steps: int, *, everywhere: bool) -> State:
        """Some steps; what takes part is decided anew before a wave could leave it."""
        longest = steps if everywhere else STEPS_BETWEEN_LOOKS
        for done in range(0, steps, longest):
            together = min(longest, steps - done)
            runs = activity.next_runs(state, together, everywhere=everywhere)
            state = advance(state, self._coupling, self._rates, runs, together, self._scheme.plain)
        return state


@dataclass(frozen=True, kw_only=True)
class _Current:
    """A stimulus on a raster: `gain` is added to u in `cells` in steps first <= step < last."""

    cells: Bool[np.ndarray, " cell"]
    gain: np.float32
    first: int
    last: int

    @classmethod
    def on(cls, stimulus: Stimulus, tissue: Tissue, layout: Layout, dt_ms: float) -> "_Current":
        first = round(stimulus.start_ms / dt_ms)
        steps = max(round(stimulus.duration_ms / dt_ms), 1)
        # The charge is that of the stimulus, whatever the step makes of its duration.
        charge = stimulus.amplitude_per_ms * stimulus.duration_ms
        return cls(
            cells=layout.laid_out(stimulated_cells(stimulus, tissue)) > 0,
            gain=np.float32(charge / steps),
            first=first,
            last=first + steps,
        )

    def lasts_at(self, step: int) -> bool:
        """Whether the current flows in a step."""
        return self.first <= step < self.last

    def add(self, state: State, step: int) -> None:
        """Adds the current of one step to `state.u`, in place."""
        if self.lasts_at(step):
            state.u[self.cells] += self.gain


def _at_rest(layout: Layout) -> State:
    ones = np.ones((layout.rows, layout.cols))
    return State(layout.zeros(), layout.zeros(), layout.laid_out(ones), layout.laid_out(ones))


def _stretches(currents: list[_Current], first: int, last: int) -> Iterator[tuple[int, int, bool]]:
    """First and last step of stretches: single paced ones, and the longest possible between."""
    start = first
    while start < last:
        paced = any(current.lasts_at(start) for current in currents)
        coming = [current.first for current in currents if current.first > start]
        stop = start + 1 if paced else min([last, *coming])
        yield start, stop, paced
        start = stop


def _require_stable(tissue: Tissue, clock: Clock, parameters: Parameters, *, plain: bool) -> None:
    largest = float(tissue.diffusivity_mm2_per_ms.max())
    stable = stable_dt_ms(tissue.spacing_mm, largest, parameters, plain=plain)
    if clock.dt_ms > stable:
        raise TissueError(
            f"dt_ms = {clock.dt_ms:g}: must be at most {stable:.4g} for cells of "
            f"{tissue.spacing_mm:.3g} mm at D = {largest:g} mm^2/ms; use a smaller step or larger "
            "cells"
        )


def _coupling(tissue: Tissue, layout: Layout, dt_ms: float, *, plain: bool) -> Coupling:
    scale = dt_ms / tissue.spacing_mm**2
    link = links(tissue, diagonal_share=0.0 if plain else DIAGONAL_SHARE)
    right, down, falling, rising = (layout.laid_out(field * scale) for field in link)
    return Coupling(right, down, falling, rising, layout.stride)
