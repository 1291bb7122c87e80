"""Resources, retries and restarts of a sweep, without Ray."""

from contextlib import nullcontext

import pytest
from ray.exceptions import OutOfMemoryError

from fwdecg.errors import ConfigError, RunError
from fwdecg.tuning import sweep
from fwdecg.tuning.proposals import Proposals
from fwdecg.tuning.sweep import SweepSearcher, plan_resources, with_gpus
from fwdecg.tuning.trial import NUMBER, OBJECTIVE, SETTINGS
from fwdecg.tuning.trials import FAILED, FINISHED, TrialFolders, TrialOutcome


@pytest.fixture
def cluster(monkeypatch):
    """The function that sets the resources of the nodes Ray knows."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def make(*nodes):
        total = {name: sum(n.get(name, 0.0) for n in nodes) for name in ("CPU", "GPU")}
        alive = [{"Alive": True, "Resources": node} for node in nodes]
        monkeypatch.setattr(sweep.ray, "nodes", lambda: alive)
        monkeypatch.setattr(sweep.ray, "cluster_resources", lambda: total)

    return make


def test_trial_must_fit_into_the_cluster(cluster, tuning_config):
    cluster({"CPU": 2.0})
    with pytest.raises(ConfigError, match=r"the cluster has room for 0 such workers, with 2 CPUs"):
        plan_resources(tuning_config(cpus_per_trial=3.0))
    with pytest.raises(ConfigError, match=r"tuning.gpus_per_trial = 0.5"):
        plan_resources(tuning_config(gpus_per_trial=0.5))
    assert plan_resources(tuning_config(cpus_per_trial=0.5)) == ({"cpu": 0.5}, 0)


def test_trials_with_several_workers_are_limited_by_the_room_for_workers(cluster, tuning_config):
    cluster({"CPU": 2.0})
    # Ray Tune counts 0.01 CPUs for each driver, so it would start many more trials.
    assert plan_resources(tuning_config(workers_per_trial=2, concurrency=4)) == ({"cpu": 0.01}, 2)
    # No node has room for two of these workers, but each has room for one.
    cluster({"CPU": 1.5}, {"CPU": 1.5})
    assert plan_resources(tuning_config(workers_per_trial=2, cpus_per_trial=3.0))[1] == 1


def test_cluster_that_may_grow_is_waited_for(cluster, tuning_config, monkeypatch, caplog):
    cluster({"CPU": 2.0})
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    assert plan_resources(tuning_config(workers_per_trial=2, concurrency=4)) == ({"cpu": 0.01}, 4)
    assert plan_resources(tuning_config(cpus_per_trial=3.0)) == ({"cpu": 3.0}, 0)
    assert "waiting for more nodes" in caplog.text


@pytest.mark.parametrize(
    ("device", "gpus", "asked", "expected"),
    [
        ("auto", 0.0, 0.0, 0.0),
        ("auto", 2.0, 0.0, 2.0),
        ("auto", 1.0, 0.0, 0.0),  # fewer than workers
        ("cpu", 2.0, 0.0, 0.0),
        ("gpu", 0.0, 0.0, 2.0),  # refused or waited for by `plan_resources`
        ("auto", 2.0, 0.5, 0.5),
    ],
)
def test_gpus_follow_the_device_of_the_training(
    cluster, tuning_config, device, gpus, asked, expected
):
    cluster({"CPU": 2.0, "GPU": gpus})
    tuning = tuning_config(workers_per_trial=2, gpus_per_trial=asked)
    assert with_gpus(tuning, device).gpus_per_trial == expected


@pytest.mark.parametrize(
    ("causes", "error"),
    [
        ([OutOfMemoryError("low"), None], None),
        ([OutOfMemoryError("low")] * 2, (RunError, "nodes ran out of memory 2 times: lower tun")),
        ([ValueError("another")], (RuntimeError, "unexpected")),
    ],
)
def test_sweep_restarts_after_a_node_ran_out_of_memory(context, monkeypatch, causes, error):
    causes = list(causes)

    def fit(context):
        cause = causes.pop(0)
        if cause:
            raise RuntimeError("unexpected") from cause

    monkeypatch.setattr(sweep, "_fit", fit)
    with pytest.raises(error[0], match=error[1]) if error else nullcontext():
        sweep.run_sweep(context)
    assert not causes


class RecordingProposals(Proposals):
    """Proposes the trial's number as its only setting, and records the results."""

    def __init__(self):
        self.results = {}

    def ask(self, number):
        return {"asked": number}

    def tell(self, number, settings, r2):
        assert settings == {"asked": number}
        self.results[number] = r2


def test_restarted_searcher_repeats_settings_and_results(tmp_path):
    folders, proposals = TrialFolders(tmp_path), RecordingProposals()
    searcher = SweepSearcher(proposals, folders)
    assert searcher.suggest("a") == {NUMBER: 0, SETTINGS: {"asked": 0}}
    assert searcher.suggest("b") == {NUMBER: 1, SETTINGS: {"asked": 1}}
    searcher.on_trial_complete("a", {OBJECTIVE: 0.5})  # interrupted: it has no outcome
    folders.record_outcome(1, TrialOutcome(FINISHED))
    searcher.on_trial_complete("b", {OBJECTIVE: 0.7})
    assert proposals.results == {1: 0.7}
    folders.record_outcome(0, TrialOutcome(FAILED, "it diverged"))

    proposals = RecordingProposals()
    proposals.ask = lambda number: {"new": number}
    searcher = SweepSearcher(proposals, folders)
    assert proposals.results == {0: None, 1: None}  # trial 1 left no checkpoint here
    assert searcher.suggest("c") == {NUMBER: 0, SETTINGS: {"asked": 0}}
    assert searcher.suggest("d") == {NUMBER: 1, SETTINGS: {"asked": 1}}
    assert searcher.suggest("e") == {NUMBER: 2, SETTINGS: {"new": 2}}
