"""Arrival time of the tail of a plane wave, to time a stimulus that starts re-entry.

The tail follows the front of a plane wave after one action potential duration, at the same
velocity. If the tail has crossed only part of the region of a second stimulus, only that part is
excitable. The second wave then has a free end at the tail and curls around it.
"""

from functools import lru_cache

import numpy as np

from fwdecg.physics.fenton_karma import Parameters
from fwdecg.physics.markers import action_potential_durations_ms
from fwdecg.physics.monodomain import Scheme, Simulation, TimeGrid
from fwdecg.physics.stimulus import PLANAR_WIDTH_MM, Rectangle, Stimulus
from fwdecg.physics.tissue import Tissue
from fwdecg.physics.velocity_correction import continuum_velocity

# Recording of a single cell, long compared with every action potential and finely sampled.
RECORD_MS, FRAME_INTERVAL_MS, DT_MS = 1000.0, 0.5, 0.02


def tail_arrival_ms(x_mm: float, diffusivity_mm2_per_ms: float, parameters: Parameters) -> float:
    """Return the time at which the tail of a plane wave from the left edge arrives at `x_mm`.

    Args:
        x_mm: distance from the edge. All cells of the stimulated strip recover at the same time.
        diffusivity_mm2_per_ms: D of the tissue.
        parameters: constants of the cell model.
    """
    velocity_mm_per_ms = continuum_velocity(parameters) * np.sqrt(diffusivity_mm2_per_ms)
    travelled_mm = max(x_mm - PLANAR_WIDTH_MM, 0.0)
    return float(travelled_mm / velocity_mm_per_ms) + resting_apd90_ms(parameters)


@lru_cache(maxsize=64)
def resting_apd90_ms(parameters: Parameters) -> float:
    """Return the APD90 in ms of a single cell that is stimulated at rest."""
    cell = Tissue(spacing_mm=1.0, diffusivity_mm2_per_ms=np.ones((1, 1)))
    time_grid = TimeGrid(
        frame_interval_ms=FRAME_INTERVAL_MS,
        frames=int(RECORD_MS / FRAME_INTERVAL_MS),
        largest_dt_ms=DT_MS,
    )
    scheme = Scheme(calibrate=False, skip_rest=False)
    frames = Simulation(cell, (Stimulus(region=Rectangle()),), time_grid, parameters, scheme)
    trace = np.array([u[0, 0] for u in frames], dtype=np.float64)
    return float(action_potential_durations_ms(trace, FRAME_INTERVAL_MS)[0])
