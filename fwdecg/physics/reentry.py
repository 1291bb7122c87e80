"""When a premature stimulus meets the recovering tail of a plane wave, whatever the tissue.

A plane wave from the left edge is followed by its tail an action potential later and as fast. A
second stimulus that covers a stretch of which the tail has passed a part excites that part alone.
So its wave has an open end at the tail, and turns around it.
"""

from functools import lru_cache

import numpy as np

from fwdecg.physics.fenton_karma import Parameters
from fwdecg.physics.markers import action_potential_durations_ms
from fwdecg.physics.monodomain import Clock, Scheme, Simulation
from fwdecg.physics.stimulus import PLANAR_WIDTH_MM, Rectangle, Stimulus
from fwdecg.physics.tissue import Tissue
from fwdecg.physics.velocity_correction import continuum_velocity

# Of the single cell: long against each set's action potential, fine against its tail.
RECORD_MS, FRAME_INTERVAL_MS, DT_MS = 1000.0, 0.5, 0.02


def tail_arrival_ms(x_mm: float, diffusivity_mm2_per_ms: float, parameters: Parameters) -> float:
    """Time at which the tail of a plane wave from the left edge is at `x_mm`.

    Args:
        x_mm: distance from the edge. What the wave's own stimulus covers recovers at once.
        diffusivity_mm2_per_ms: D of the tissue.
        parameters: the cell model.
    """
    velocity_mm_per_ms = continuum_velocity(parameters) * np.sqrt(diffusivity_mm2_per_ms)
    travelled_mm = max(x_mm - PLANAR_WIDTH_MM, 0.0)
    return float(travelled_mm / velocity_mm_per_ms) + rested_duration_ms(parameters)


@lru_cache(maxsize=64)
def rested_duration_ms(parameters: Parameters) -> float:
    """APD90 of a single cell that is stimulated at rest."""
    cell = Tissue(spacing_mm=1.0, diffusivity_mm2_per_ms=np.ones((1, 1)))
    clock = Clock(
        frame_interval_ms=FRAME_INTERVAL_MS,
        frames=int(RECORD_MS / FRAME_INTERVAL_MS),
        largest_dt_ms=DT_MS,
    )
    scheme = Scheme(calibrate=False, skip_rest=False)
    frames = Simulation(cell, (Stimulus(region=Rectangle()),), clock, parameters, scheme)
    trace = np.array([u[0, 0] for u in frames], dtype=np.float64)
    return float(action_potential_durations_ms(trace, FRAME_INTERVAL_MS)[0])
