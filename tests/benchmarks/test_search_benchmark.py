import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fwdecg.benchmarks.search_benchmark import Replay, benchmark_search, read_curves, replay
from fwdecg.errors import ResultError
from fwdecg.tuning.tuning_config import TuningConfig

ASHA = TuningConfig(grace_period=1, reduction_factor=2.0)  # rungs at epochs 1 and 2 of 4
RISING = np.outer([0.5, 0.4, 0.6, 0.3], [0.25, 0.5, 0.75, 1.0])


def test_a_replay_computed_by_hand():
    """At the first rung 0.4 and 0.3 lie below the median of the trials before them, 0.6 above.

    ASHA therefore trains 4 + 1 + 4 + 1 epochs. Ten epochs without stopping complete the trials that
    reach 0.5 and 0.4, and half of the one that reaches 0.6.
    """
    result = replay(RISING, np.arange(4), ASHA, concurrency=1)
    assert result == Replay(epochs=10, asha_r2=0.6, unstopped_r2=0.5)


def test_asha_misses_a_trial_that_improves_late_unless_it_starts_first():
    curves = np.array([[0.5, 0.5, 0.5, 0.5], [0.1, 0.1, 0.1, 0.9]])
    stopped = replay(curves, np.arange(2), ASHA, concurrency=1)
    assert stopped == Replay(epochs=5, asha_r2=0.5, unstopped_r2=0.5)
    kept = replay(curves, np.array([1, 0]), ASHA, concurrency=2)
    assert kept == Replay(epochs=8, asha_r2=0.9, unstopped_r2=0.9)


def write_trials(path, curves):
    pq.write_table(pa.table({"validation_r2": curves}), path)


def test_curves_are_running_maxima_and_failed_trials_are_left_out(tmp_path):
    write_trials(tmp_path / "trials.parquet", [[0.5, 0.4], [], [0.1, 0.2]])
    np.testing.assert_array_equal(
        read_curves(tmp_path / "trials.parquet"), [[0.5, 0.5], [0.1, 0.2]]
    )


def test_stopped_trials_and_missing_files_are_rejected(tmp_path):
    path = tmp_path / "trials.parquet"
    with pytest.raises(ResultError, match="no such file"):
        read_curves(path)
    write_trials(path, [[0.5, 0.4], [0.1]])
    with pytest.raises(ResultError, match="grace_period"):
        read_curves(path)


def test_the_report_summarises_the_replays(tmp_path):
    write_trials(tmp_path / "trials.parquet", RISING.tolist())
    benchmark_search(tmp_path / "trials.parquet", ASHA, tmp_path, replays=50, concurrency=1)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["epochs_of_all_trials"] == 16
    assert 7 <= metrics["mean_epochs_spent"] <= 16
    # These curves do not cross, so ASHA finds the best trial in every order.
    assert metrics["share_that_found_the_best"]["asha"] == 1.0
    assert metrics["share_that_found_the_best"]["without"] < 1.0
    assert metrics["mean_best_r2"]["asha"] == pytest.approx(0.6)
    assert "ASHA ahead in" in (tmp_path / "report.txt").read_text()
