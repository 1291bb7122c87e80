from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.pacing import PacingConfig, draw_pacing
from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.errors import ConfigError
from fwdecg.physics.fenton_karma import PARAMETER_SETS
from fwdecg.physics.reentry import resting_apd90_ms
from fwdecg.physics.stimulus import PLANAR_WIDTH_MM

FK_CAF = PARAMETER_SETS["FK-CAF"]
REENTRY = PacingConfig(protocol="reentry", tail_position=(0.25, 0.5))


def draw(config, rng, size_mm=100.0, diffusivity_mm2_per_ms=0.05):
    return draw_pacing(
        rng,
        config,
        size_mm=size_mm,
        diffusivity_mm2_per_ms=diffusivity_mm2_per_ms,
        parameters=FK_CAF,
    )


@given(seed=st.integers(0, 99), diffusivity=st.floats(0.02, 0.1), size_mm=st.floats(50.0, 100.0))
def test_second_stimulus_starts_when_the_tail_is_inside_the_quarter(seed, diffusivity, size_mm):
    pacing = draw(REENTRY, np.random.default_rng(seed), size_mm, diffusivity)
    since_ms = pacing.s2_start_ms - resting_apd90_ms(FK_CAF)
    tail_mm = PLANAR_WIDTH_MM + 2.0777 * np.sqrt(diffusivity) * since_ms
    assert 0.2499 <= tail_mm / (size_mm / 2) <= 0.5001  # the velocity is known to 1e-4
    first, second = pacing.stimuli
    assert (first.start_ms, second.start_ms) == (0.0, pacing.s2_start_ms)


def test_tail_position_is_uniformly_distributed():
    rng = np.random.default_rng(0)
    starts_ms = np.array([draw(REENTRY, rng).s2_start_ms for _ in range(400)])
    first_ms, last_ms = (
        draw(replace(REENTRY, tail_position=(x, x)), rng).s2_start_ms for x in (0.25, 0.5)
    )
    positions = (starts_ms - first_ms) / (last_ms - first_ms)
    # Standard errors of 400 uniform draws: 0.014 of the mean, 0.022 of a quartile.
    assert positions.mean() == pytest.approx(0.5, abs=0.06)
    np.testing.assert_allclose(np.quantile(positions, (0.25, 0.75)), (0.25, 0.75), atol=0.09)


@pytest.mark.parametrize("protocol", ["planar", "focal"])
def test_other_protocols_have_one_stimulus(protocol):
    pacing = draw(PacingConfig(protocol=protocol), np.random.default_rng(0))
    assert pacing.s2_start_ms is None
    assert len(pacing.stimuli) == 1


def test_a_range_must_be_ascending():
    with pytest.raises(ConfigError, match=r"tail_position = \(0.6, 0.2\): a range must run from"):
        PacingConfig(tail_position=(0.6, 0.2))


def test_a_recording_must_contain_the_second_stimulus():
    # The tail covers 0.5 of 50 mm less 2 mm at 0.2078 mm/ms, after an action potential of 107 ms.
    with pytest.raises(ConfigError, match="duration_ms = 200: must be above 217.* ms, when"):
        LibraryConfig(pacing=REENTRY, recording=RecordingConfig(duration_ms=200.0))
