import numpy as np
import pytest

from fwdecg.physics.fenton_karma import PARAMETER_SETS
from fwdecg.physics.monodomain import Simulation, TimeGrid
from fwdecg.physics.reentry import resting_apd90_ms, tail_arrival_ms
from fwdecg.physics.stimulus import PLANAR_WIDTH_MM, planar
from fwdecg.physics.tissue import Tissue

FK_CAF = PARAMETER_SETS["FK-CAF"]


def test_action_potential_duration_at_rest():
    # An independent computation at fine resolution gives 106.5 ms at a cycle length of 1000 ms. The
    # stimulus accounts for up to 1 ms of difference.
    assert resting_apd90_ms(FK_CAF) == pytest.approx(106.5, abs=1.5)


def test_the_tail_moves_at_the_velocity_of_the_front():
    assert tail_arrival_ms(0.0, 0.1, FK_CAF) == resting_apd90_ms(FK_CAF)
    start_ms = tail_arrival_ms(PLANAR_WIDTH_MM, 0.1, FK_CAF)
    assert start_ms == resting_apd90_ms(FK_CAF)
    for diffusivity, velocity_mm_per_ms in ((0.1, 0.657), (0.01, 0.2078)):
        delay_ms = tail_arrival_ms(PLANAR_WIDTH_MM + 10.0, diffusivity, FK_CAF) - start_ms
        assert delay_ms == pytest.approx(10.0 / velocity_mm_per_ms, rel=1e-3)


def test_the_tail_of_a_simulated_wave_arrives_on_time():
    spacing_mm, x_mm = 0.2, 12.0
    tissue = Tissue(spacing_mm=spacing_mm, diffusivity_mm2_per_ms=np.full((3, 100), 0.1))
    time_grid = TimeGrid(frame_interval_ms=1.0, frames=200, largest_dt_ms=0.03)
    trace = np.array(
        [u[1, int(x_mm / spacing_mm)] for u in Simulation(tissue, planar(), time_grid, FK_CAF)]
    )
    recovered_ms = np.flatnonzero(trace > 0.1 * trace.max()).max()
    # The stimulus takes up to 1 ms, and coupling shortens the action potential there.
    assert recovered_ms == pytest.approx(tail_arrival_ms(x_mm, 0.1, FK_CAF), abs=3.0)
