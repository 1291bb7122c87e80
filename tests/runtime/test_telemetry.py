"""Metrics as Prometheus reads them on the port of a node, and none without Ray."""

import json
import sys
from pathlib import Path
from unittest.mock import Mock

import pyarrow.parquet as pq
import pytest

from fwdecg.runtime import telemetry
from fwdecg.runtime.telemetry import BUILD, FRACTION_DONE, ITEMS, Counter, Gauge

ROOT = Path(__file__).parents[2]

# A library of 20 cases: one case always fails and one kills its worker once.
WATCHED = """
import json, os, re, signal, sys, threading, urllib.request
from pathlib import Path

import ray

from fwdecg.config import load
from fwdecg.library.build import build_library
from fwdecg.cases.simulation import simulate_case
from fwdecg.library.reader import open_library
from fwdecg.experiment.experiment import Experiment
from fwdecg.tuning.search import plan_search, tune
from fwdecg.training.trainer import train

PRESET, ROOT = Path(sys.argv[1]), Path(sys.argv[2])
SAMPLE = re.compile(r'^ray_(fwdecg_[a-z_]+){.*WorkerId="(\\w+)".*stage="([a-z]+)".*} (\\S+)$')

def simulate(case, config):
    if case.spec.case_id == 3:
        raise ValueError("never")
    marker = ROOT / "killed"
    if case.spec.case_id == 5 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return simulate_case(case, config)

def sample(port, seen):
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    for line in text.splitlines():
        found = SAMPLE.match(line)
        if found:
            name, worker, stage, value = found.groups()
            key = (name, stage, worker)
            seen[key] = max(seen.get(key, 0.0), float(value))

def watch(port, seen, finished):
    while not finished.wait(0.2):
        sample(port, seen)

if __name__ == "__main__":
    ray.init(address="local", num_cpus=2, include_dashboard=True, log_to_driver=False,
             object_store_memory=80 * 2**20, _system_config={"metrics_report_interval_ms": 300})
    port = ray.nodes()[0]["MetricsExportPort"]
    seen, finished = {}, threading.Event()
    watcher = threading.Thread(target=watch, args=(port, seen, finished))
    watcher.start()
    experiment = load(Experiment, PRESET, sys.argv[3:])
    build_library(experiment.library, ROOT / "library", simulate)
    library = open_library(ROOT / "library")
    train(library, experiment.model, experiment.training, ROOT / "training")
    search = plan_search(library, experiment.recipe, experiment.tuning)
    tune(search, ROOT / "tuning", lambda recipe, results: "")
    threading.Event().wait(3)  # until the last values are reported
    finished.set()
    watcher.join()
    ray.shutdown()
    totals = {}
    for (name, stage, _), value in seen.items():
        totals[f"{name} {stage}"] = totals.get(f"{name} {stage}", 0.0) + value
    print(json.dumps(totals))
"""


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_node_exports_the_metrics_of_build_training_and_sweep(small_preset, run_python, tmp_path):
    script = tmp_path / "watched.py"
    script.write_text(WATCHED)
    keys = ["training.epochs=3", "training.workers=0", "tuning.trials=1", "tuning.epochs=4"]
    keys += ["tuning.grace_period=1", "tuning.workers_per_trial=2"]
    keys += ['tuning.space={"model.hidden_size" = {choice = [4, 8]}}']
    done = run_python(script, small_preset, tmp_path, *keys)
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["fwdecg_items_total build"] == 20
    assert seen["fwdecg_failures_total build"] == 1
    assert seen["fwdecg_retries_total build"] >= 1
    assert seen["fwdecg_share_done build"] == 1.0
    assert seen["fwdecg_items_per_second build"] > 0
    manifest = json.loads((tmp_path / "library/manifest.json").read_text())
    train_cases = manifest["counts"]["ok"]["train"]["all"]
    assert seen["fwdecg_items_total training"] == 3 * train_cases
    assert seen["fwdecg_share_done training"] == 1.0
    assert seen["fwdecg_items_per_second training"] > 0
    assert seen["fwdecg_items_total sweep"] == 4 * train_cases
    assert seen["fwdecg_share_done sweep"] == 1.0
    (trial,) = pq.read_table(tmp_path / "tuning/trials.parquet").to_pylist()
    assert (trial["status"], trial["epochs"]) == ("finished", 4)


@pytest.mark.parametrize("ray", [None, Mock(is_initialized=lambda: False)])
def test_without_a_connection_metrics_do_nothing(ray, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(telemetry, "_ray_metric", None)
    ITEMS.add(BUILD)
    FRACTION_DONE.set(BUILD, 0.5)


def test_the_cluster_readme_lists_all_metrics():
    text = (ROOT / "cluster/README.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `fwdecg_")]
    metrics = [each for each in vars(telemetry).values() if isinstance(each, Counter | Gauge)]
    assert rows == [f"| `{metric.name}` | {metric.meaning} |" for metric in metrics]
