from dataclasses import replace
from itertools import chain

import pytest

from fwdecg.benchmarks.solver_accuracy import PLAIN, solver_accuracy


@pytest.fixture(scope="module")
def outcomes(small_config):
    config = replace(small_config, solver=replace(small_config.solver, spacing_mm=None, dt_ms=None))
    return list(chain.from_iterable(solver_accuracy(config, (0.02, 0.05), 1)))


def test_the_sample_has_every_condition_at_every_setting(outcomes):
    found = {(outcome.condition, outcome.setting) for outcome in outcomes}
    conditions = {"healthy", "gap_junction", "fibrosis", "combined"}
    assert found == {(c, s) for c in conditions for s in (PLAIN, "0.02", "0.05")}
    assert len(outcomes) == 12


def test_the_default_scheme_is_nearer_to_the_reference_for_less_work(outcomes):
    plain, fine, _ = (
        [outcome for outcome in outcomes if outcome.setting == setting]
        for setting in (PLAIN, "0.02", "0.05")
    )
    for theirs, ours in zip(plain, fine, strict=True):
        assert ours.node_updates < theirs.node_updates / 3
        assert ours.ecg_r2 > theirs.ecg_r2
        assert theirs.skipped_share == pytest.approx(0, abs=1e-12)
        assert 0 < ours.ecg_share < 1
        # On so small a sheet patches are a few cells wide, and the raster counts for most.
        if ours.condition == "gap_junction":
            assert ours.ecg_r2 > 0.99
            assert ours.activation_error_ms < theirs.activation_error_ms / 2
            assert ours.velocity_error < 0.02 < theirs.velocity_error
            assert ours.unmatched_share == 0
