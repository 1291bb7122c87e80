from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwdecg.cases.library_config import LibraryConfig, PacingConfig, RecordingConfig, TissueConfig
from fwdecg.cases.pacing import draw_pacing
from fwdecg.errors import ConfigError
from fwdecg.physics.reentry import rested_duration_ms
from fwdecg.physics.stimulus import PLANAR_WIDTH_MM

REENTRY = LibraryConfig(pacing=PacingConfig(protocol="reentry", tail_position=(0.25, 0.5)))


@given(seed=st.integers(0, 99), diffusivity=st.floats(0.02, 0.1), size_mm=st.floats(50.0, 100.0))
def test_the_second_stimulus_meets_the_tail_inside_its_quarter(seed, diffusivity, size_mm):
    config = replace(REENTRY, tissue=TissueConfig(size_mm=size_mm))
    pacing = draw_pacing(np.random.default_rng(seed), config, diffusivity_mm2_per_ms=diffusivity)
    since_ms = pacing.s2_start_ms - rested_duration_ms(config.solver.parameters)
    tail_mm = PLANAR_WIDTH_MM + 2.0777 * np.sqrt(diffusivity) * since_ms
    assert 0.2499 <= tail_mm / (size_mm / 2) <= 0.5001  # the velocity is known to 1e-4
    first, second = pacing.stimuli
    assert (first.start_ms, second.start_ms) == (0.0, pacing.s2_start_ms)


def start_ms(tail_position):
    config = replace(REENTRY, pacing=PacingConfig(protocol="reentry", tail_position=tail_position))
    rng = np.random.default_rng(0)
    return draw_pacing(rng, config, diffusivity_mm2_per_ms=0.05).s2_start_ms


def test_the_position_of_the_tail_is_spread_over_its_range():
    rng = np.random.default_rng(0)
    starts_ms = [
        draw_pacing(rng, REENTRY, diffusivity_mm2_per_ms=0.05).s2_start_ms for _ in range(400)
    ]
    ends = [start_ms((x, x)) for x in (0.25, 0.5)]
    shares = (np.array(starts_ms) - ends[0]) / (ends[1] - ends[0])
    # Uniform: a mean of 400 draws strays by 0.014, a quartile by 0.022.
    assert shares.mean() == pytest.approx(0.5, abs=0.06)
    np.testing.assert_allclose(np.quantile(shares, (0.25, 0.75)), (0.25, 0.75), atol=0.09)


def test_one_stimulus_has_no_second():
    for protocol in ("planar", "focal"):
        config = LibraryConfig(pacing=PacingConfig(protocol=protocol))
        pacing = draw_pacing(np.random.default_rng(0), config, diffusivity_mm2_per_ms=0.05)
        assert pacing.s2_start_ms is None
        assert len(pacing.stimuli) == 1


@pytest.mark.parametrize(
    ("tail_position", "message"),
    [
        ((0.6, 0.2), r"tail_position = \(0.6, 0.2\): a range must run from low to high"),
        ((0.2, 1.0), r"tail_position = \(0.2, 1.0\): must be below 1"),
    ],
)
def test_tails_outside_the_quarter_are_refused(tail_position, message):
    with pytest.raises(ConfigError, match=message):
        PacingConfig(protocol="reentry", tail_position=tail_position)


def test_a_record_that_ends_before_the_second_stimulus_is_refused():
    # 0.5 of 50 mm less 2 mm at 0.2078 mm/ms, and an action potential of 107 ms.
    with pytest.raises(ConfigError, match="duration_ms = 200: must be above 217.* ms, when"):
        replace(REENTRY, recording=RecordingConfig(duration_ms=200.0))
