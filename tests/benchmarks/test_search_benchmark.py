import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fwdecg.benchmarks.search_benchmark import benchmark_search, read_curves, replay
from fwdecg.errors import ResultError
from fwdecg.tuning.tuning_config import TuningConfig

HALVING = TuningConfig(grace_period=1, reduction_factor=2.0)  # of 4 epochs: rungs 1 and 2
RISING = np.outer([0.5, 0.4, 0.6, 0.3], [0.25, 0.5, 0.75, 1.0])


def test_a_replay_computed_by_hand():
    """0.4 and 0.3 are below the median of those before them at the first rung, 0.6 is above.

    So 4 + 1 + 4 + 1 epochs; in 10 without stopping 0.5 and 0.4 end, and 0.6 is half way.
    """
    found = replay(RISING, np.arange(4), HALVING, at_once=1)
    assert (found.epochs, found.halving_r2, found.plain_r2) == (10, 0.6, 0.5)


def test_a_late_bloomer_is_lost_to_stopping_alone():
    curves = np.array([[0.5, 0.5, 0.5, 0.5], [0.1, 0.1, 0.1, 0.9]])
    found = replay(curves, np.arange(2), HALVING, at_once=1)
    assert (found.epochs, found.halving_r2, found.plain_r2) == (5, 0.5, 0.5)
    beside = replay(curves, np.array([1, 0]), HALVING, at_once=2)
    assert (beside.epochs, beside.halving_r2, beside.plain_r2) == (8, 0.9, 0.9)


def write(path, curves):
    pq.write_table(pa.table({"validation_r2": curves}), path)


def test_the_best_until_an_epoch_counts_and_failed_trials_do_not(tmp_path):
    write(tmp_path / "trials.parquet", [[0.5, 0.4], [], [0.1, 0.2]])
    np.testing.assert_array_equal(
        read_curves(tmp_path / "trials.parquet"), [[0.5, 0.5], [0.1, 0.2]]
    )


def test_stopped_trials_and_missing_files_are_refused(tmp_path):
    path = tmp_path / "trials.parquet"
    with pytest.raises(ResultError, match="no such file"):
        read_curves(path)
    write(path, [[0.5, 0.4], [0.1]])
    with pytest.raises(ResultError, match="grace_period"):
        read_curves(path)


def test_the_report_sums_up_the_replays(tmp_path):
    write(tmp_path / "trials.parquet", RISING.tolist())
    benchmark_search(tmp_path / "trials.parquet", HALVING, tmp_path, replays=50, at_once=1)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["epochs_of_all_trials"] == 16
    assert 7 <= metrics["mean_epochs_spent"] <= 16
    # Every order of these consistent curves leads ASHA to the best.
    assert metrics["share_that_found_the_best"]["asha"] == 1.0
    assert metrics["share_that_found_the_best"]["without"] < 1.0
    assert metrics["mean_best_r2"]["asha"] == pytest.approx(0.6)
    assert "ASHA ahead in" in (tmp_path / "report.txt").read_text()
