import numpy as np
import pytest

from fwdecg.physics.markers import (
    action_potential_durations_ms,
    activation_times_ms,
    conduction_velocity_mm_per_ms,
)


def test_the_first_activation_is_interpolated_between_frames():
    frames = np.zeros((6, 1, 3))
    frames[2:, 0, 0] = 0.8  # from 0 to 0.8 between frames 1 and 2, so 0.5 at 1 + 5/8
    frames[1:, 0, 1] = [0.4, 0.6, 0.2, 1.0, 0.0]  # first halfway between frames 1 and 2
    found = activation_times_ms(frames, 2.0)
    np.testing.assert_allclose(found[0, :2], [2 * 1.625, 3.0])
    assert np.isnan(found[0, 2])


def test_velocity_of_a_plane_wave():
    position_mm = np.arange(50) * 0.25
    activation = np.broadcast_to(3.0 + position_mm / 0.6, (4, 50)).copy()
    activation[0, 20] = np.nan
    assert conduction_velocity_mm_per_ms(activation, 0.25) == pytest.approx(0.6)
    assert np.isnan(conduction_velocity_mm_per_ms(np.full((3, 10), np.nan), 0.25))


def test_durations_of_triangular_action_potentials():
    # Rise in 1 ms, fall in 10 ms: u crosses half of the peak 0.5 ms after the start and a tenth of
    # it 9 ms after the peak.
    beat = np.concatenate([np.linspace(0, 1, 11), np.linspace(1, 0, 101)[1:], np.zeros(50)])
    u = np.tile(beat, 3)
    found = action_potential_durations_ms(u, 0.1)
    np.testing.assert_allclose(found, 9.5, atol=1e-6)
    assert len(found) == 3


def test_an_incomplete_action_potential_does_not_count():
    u = np.concatenate([np.zeros(5), np.ones(20)])
    assert action_potential_durations_ms(u, 1.0).size == 0
