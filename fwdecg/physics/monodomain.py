"""The monodomain equation in time: du/dt = div(D grad u) - J_ion + J_stim, as frames of u.

Explicit Euler in u with a step that divides the frame interval, exact exponentials in the gates,
float32 state. The current of a stimulus is added after each step that begins while it lasts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from fwdecg.errors import CaseError, TissueError
from fwdecg.physics.diffusion import faces
from fwdecg.physics.fenton_karma import Coupling, Parameters, State, advance, rates
from fwdecg.physics.resolution import stable_dt_ms
from fwdecg.physics.stimulus import Pacing, Stimulus, stimulated_cells
from fwdecg.physics.tissue import Tissue
from fwdecg.shapes import Field, Field32, Mask

# With shorter steps the rounding of float32 spoils the slow gates: what they gain in a step is too
# small against their value.
SMALLEST_DT_MS = 5e-4


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

    @property
    def steps_per_frame(self) -> int:
        """Steps from one frame to the next."""
        return int(np.ceil(self.frame_interval_ms / self.largest_dt_ms - 1e-9))

    @property
    def dt_ms(self) -> float:
        """The step in ms."""
        return self.frame_interval_ms / self.steps_per_frame


def voltage_frames(
    tissue: Tissue, pacing: Pacing, clock: Clock, parameters: Parameters
) -> Iterator[Field32]:
    """The voltage u at t = 0, interval, 2 interval, ...: one (row, col) array per frame.

    A frame is a view of the solver's state, valid until the next one is asked for.

    Raises:
        TissueError: the step is larger than is stable on this raster.
        CaseError: u stops being finite.
    """
    _require_stable(tissue, clock, parameters)
    rows, cols = tissue.diffusivity_mm2_per_ms.shape
    state, coupling = _resting_state(tissue), _coupling(tissue, clock.dt_ms)
    currents = [_Current.on(stimulus, tissue, clock.dt_ms) for stimulus in pacing]
    step_rates = rates(parameters, clock.dt_ms)
    for frame in range(clock.frames):
        if frame > 0:
            first = (frame - 1) * clock.steps_per_frame
            for start, stop in _stretches(currents, first, first + clock.steps_per_frame):
                state = advance(state, coupling, step_rates, stop - start)
                for current in currents:
                    current.add(state, start)
        u = state.u.reshape(rows + 2, -1)[1:-1, 1 : cols + 1]
        if not np.isfinite(u).all():
            time_ms = frame * clock.frame_interval_ms
            raise CaseError(f"u is not finite at t = {time_ms:g} ms (dt_ms = {clock.dt_ms:g})")
        yield u


@dataclass(frozen=True, kw_only=True)
class _Current:
    """A stimulus on a raster: `gain` is added to u in `cells` in steps first <= step < last."""

    cells: Bool[np.ndarray, " cell"]
    gain: np.float32
    first: int
    last: int

    @classmethod
    def on(cls, stimulus: Stimulus, tissue: Tissue, dt_ms: float) -> "_Current":
        first = round(stimulus.start_ms / dt_ms)
        steps = max(round(stimulus.duration_ms / dt_ms), 1)
        # The charge is that of the stimulus, whatever the step makes of its duration.
        charge = stimulus.amplitude_per_ms * stimulus.duration_ms
        return cls(
            cells=_with_rim(stimulated_cells(stimulus, tissue)).ravel() > 0,
            gain=np.float32(charge / steps),
            first=first,
            last=first + steps,
        )

    def add(self, state: State, step: int) -> None:
        """Adds the current of one step to `state.u`, in place."""
        if self.first <= step < self.last:
            state.u[self.cells] += self.gain


def _stretches(currents: list[_Current], first: int, last: int) -> Iterator[tuple[int, int]]:
    """Runs of steps: single ones while a stimulus lasts, the longest possible between."""
    start = first
    while start < last:
        paced = any(current.first <= start < current.last for current in currents)
        coming = [current.first for current in currents if current.first > start]
        stop = start + 1 if paced else min([last, *coming])
        yield start, stop
        start = stop


def _require_stable(tissue: Tissue, clock: Clock, parameters: Parameters) -> None:
    largest = float(tissue.diffusivity_mm2_per_ms.max())
    stable = stable_dt_ms(tissue.spacing_mm, largest, parameters)
    if clock.dt_ms > stable:
        raise TissueError(
            f"dt_ms = {clock.dt_ms:g}: must be at most {stable:.4g} for cells of "
            f"{tissue.spacing_mm:.3g} mm at D = {largest:g} mm^2/ms; use a smaller step or larger "
            "cells"
        )


def _resting_state(tissue: Tissue) -> State:
    rest = _with_rim(np.zeros(tissue.diffusivity_mm2_per_ms.shape)).ravel()
    return State(u=rest, u_next=rest.copy(), v=np.ones_like(rest), w=np.ones_like(rest))


def _coupling(tissue: Tissue, dt_ms: float) -> Coupling:
    face, scale = faces(tissue), dt_ms / tissue.spacing_mm**2
    right = _with_rim(np.pad(face.x * scale, ((0, 0), (0, 1))))
    down = _with_rim(np.pad(face.y * scale, ((0, 1), (0, 0))))
    return Coupling(right=right.ravel(), down=down.ravel(), stride=right.shape[1])


def _with_rim(field: Field | Mask) -> Float32[np.ndarray, "row+2 col+2"]:
    return np.pad(field, 1).astype(np.float32)
