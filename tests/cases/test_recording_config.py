from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.errors import ConfigError


@given(rows=st.integers(1, 9), cols=st.integers(1, 9), size_mm=st.floats(5.0, 200.0))
def test_a_grid_is_centred_and_regular(rows, cols, size_mm):
    recording = RecordingConfig(electrode_grid=(rows, cols))
    electrodes = recording.electrodes(size_mm)
    assert electrodes.shape == (recording.electrode_count, 3)
    np.testing.assert_allclose(electrodes.mean(axis=0), [size_mm / 2, size_mm / 2, 40.0])
    x_mm = electrodes[:cols, 0]
    np.testing.assert_allclose(np.diff(x_mm), size_mm / cols)
    # Rotation by 180 degrees and transposition map the grid onto itself.
    np.testing.assert_allclose(electrodes[::-1, :2], size_mm - electrodes[:, :2], atol=1e-9)
    transposed = replace(recording, electrode_grid=(cols, rows)).electrodes(size_mm)
    order = np.arange(rows * cols).reshape(cols, rows).T.ravel()
    np.testing.assert_array_equal(transposed[order][:, [1, 0, 2]], electrodes)


def test_a_frame_interval_that_could_miss_activations_is_refused():
    with pytest.raises(ConfigError, match=r"frame_interval_ms = 100.0: must be at most 50"):
        RecordingConfig(duration_ms=800.0, frame_interval_ms=100.0)


def test_a_shift_displaces_the_whole_grid():
    recording = RecordingConfig(electrode_grid=(2, 2), electrode_shift_mm=(1.0, -2.0, 3.0))
    moved = recording.electrodes(40.0, shifted=True) - recording.electrodes(40.0)
    np.testing.assert_allclose(moved, np.tile([1.0, -2.0, 3.0], (4, 1)))
