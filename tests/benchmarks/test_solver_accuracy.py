from dataclasses import replace
from itertools import chain

import pytest

from fwdecg.benchmarks.solver_accuracy import PLAIN, solver_accuracy


@pytest.fixture(scope="module")
def outcomes(small_config):
    config = replace(small_config, solver=replace(small_config.solver, spacing_mm=None, dt_ms=None))
    return list(chain.from_iterable(solver_accuracy(config, (0.02,), 1)))


def test_the_sample_covers_every_condition_at_every_setting(outcomes):
    conditions = ("healthy", "gap_junction", "fibrosis", "combined")
    found = [(outcome["condition"], outcome["setting"]) for outcome in outcomes]
    assert sorted(found) == sorted((c, s) for c in conditions for s in (PLAIN, "0.02"))


def test_the_default_scheme_is_more_accurate_for_less_work(outcomes):
    for euler, default in zip(outcomes[::2], outcomes[1::2], strict=True):
        assert default["node_updates"] < euler["node_updates"] / 3
        assert default["ecg_r2"] > euler["ecg_r2"]
        assert euler["skipped_share"] == pytest.approx(0, abs=1e-12)
        assert 0 < default["ecg_share"] < 1
        # On this small sheet patches are a few cells wide, so rasterisation dominates their error.
        if default["condition"] == "gap_junction":
            assert default["ecg_r2"] > 0.99
            assert default["activation_error_ms"] < euler["activation_error_ms"] / 2
            assert default["velocity_error"] < 0.02 < euler["velocity_error"]
            assert default["unmatched_share"] == 0
