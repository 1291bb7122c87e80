import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from pyarrow import fs
from ray import cloudpickle

from fwdecg.cases.simulation import simulate_case
from fwdecg.config import load
from fwdecg.errors import LibraryError, ResultError, RunError
from fwdecg.experiment.experiment import Experiment
from fwdecg.library.build import build_library
from fwdecg.library.check.verify import check_library
from fwdecg.library.dataset import split_dataset
from fwdecg.library.paths import Part, published_parts
from fwdecg.library.reader import open_library
from fwdecg.runtime.storage import Store

pytestmark = pytest.mark.ray

# Workers cannot import the tests, so functions defined here are pickled by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

JOBS = Path(__file__).parents[2] / "jobs"


def part_bytes(root):
    return {path.name: path.read_bytes() for path in sorted((root / "cases").iterdir())}


def simulate_only_new_cases(case, config):
    assert case.spec.case_id >= 10
    return simulate_case(case, config)


@pytest.fixture(scope="module")
def root(ray_cluster, small_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "library"
    build_library(small_config, folder)
    return folder


class TestInAFolder:
    def test_bytes_do_not_depend_on_the_number_of_workers(self, root, small_library):
        assert part_bytes(root) == part_bytes(small_library.store.folder)

    def test_descriptions_match_the_content(self, root, small_config):
        manifest = json.loads((root / "manifest.json").read_text())
        conditions = {"healthy": 2, "gap_junction": 2, "fibrosis": 4, "combined": 2}
        assert manifest["counts"]["ok"]["all"] == conditions | {"all": 10}
        assert manifest["counts"]["quarantined"]["all"]["all"] == 0
        assert [part["cases"] for part in manifest["parts"]] == [4, 4, 2]
        assert manifest["seed"] == small_config.seed
        assert manifest["config"]["recording"]["frame_interval_ms"] == 5.0
        assert "fixed_shape_tensor" in (root / "README.md").read_text()
        assert not (root / ".staging").exists()
        assert not (root / ".spool").exists()

    def test_building_again_changes_nothing(self, root, small_config):
        before = part_bytes(root)
        build_library(small_config, root)
        assert part_bytes(root) == before

    def test_a_larger_number_of_cases_extends_the_library(self, root, small_config):
        before = part_bytes(root)
        manifest = build_library(replace(small_config, cases=12), root, simulate_only_new_cases)
        after = part_bytes(root)
        assert manifest["counts"]["ok"]["all"]["all"] == 12
        assert {name: after[name] for name in before} == before
        assert [part.first for part in published_parts(Store.at(root))] == [0, 4, 8, 10]

    def test_a_different_configuration_is_refused_by_name(self, root, small_config):
        with pytest.raises(ResultError, match=r"library.seed"):
            build_library(replace(small_config, seed=1), root)

    def test_a_damaged_part_is_named_and_a_missing_one_rebuilt(self, root, small_config, tmp_path):
        copy = tmp_path / "library"
        shutil.copytree(root, copy)
        config = replace(small_config, cases=12)
        part = copy / "cases/cases-000004-000008.parquet"
        whole = part.read_bytes()
        part.write_bytes(whole[:-1])
        with pytest.raises(LibraryError, match="is damaged .*; delete it and build again"):
            build_library(config, copy)
        part.unlink()
        build_library(config, copy)
        assert part.read_bytes() == whole

    def test_a_library_whose_cases_all_fail_is_an_error_every_time(
        self, ray_cluster, small_config, tmp_path
    ):
        recording = replace(small_config.recording, duration_ms=10.0, least_activated_fraction=1.0)
        config = replace(small_config, cases=2, recording=recording)
        for _ in range(2):
            with pytest.raises(RunError, match="every case is quarantined; see the reasons"):
                build_library(config, tmp_path / "library")


@pytest.fixture(scope="module")
def stored(ray_cluster, small_config, bucket):
    store = Store.at(bucket("library"))
    build_library(replace(small_config, cases=6), store.root)
    build_library(small_config, store.root)  # extends the library
    return store


class TestInAnObjectStore:
    """The same library on a server with the S3 protocol."""

    def test_parts_have_the_same_bytes_as_in_a_folder(self, stored, small_library):
        assert published_parts(stored) == [Part(0, 4), Part(4, 6), Part(6, 8), Part(8, 10)]
        for part in (Part(0, 4), Part(8, 10)):
            assert stored.read(part.file).equals(small_library.store.read(part.file))

    def test_library_is_valid_and_has_no_temporary_files(self, stored):
        assert check_library(stored).faults == ()
        assert stored.sizes(".spool") == {}
        assert not stored.exists(".staging")

    def test_a_split_is_read_as_a_table_and_as_a_ray_dataset(self, stored):
        library = open_library(stored)
        expected = library.table("train", ["case_id"])["case_id"].to_pylist()
        rows = split_dataset(library, "train", ["case_id"]).take_all()
        assert sorted(row["case_id"] for row in rows) == expected

    def test_error_messages_hide_the_keys_of_the_uri(self, stored, small_config):
        with pytest.raises(ResultError) as refusal:
            build_library(replace(small_config, seed=1), stored)
        assert "secret" not in str(refusal.value)
        assert "s3://lab/library was made with another library.seed" in str(refusal.value)


def simulate_slowly(case, config):
    time.sleep(0.3)
    return simulate_case(case, config)


@pytest.mark.slow
def test_a_build_survives_an_outage_of_its_store(ray_cluster, small_config, small_library):
    """The S3 server stops in the middle of the build and returns five seconds later."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    query = f"?endpoint_override=http://{host}:{port}&region=us-east-1&allow_bucket_creation=true"
    fs.FileSystem.from_uri(f"s3://key:secret@away{query}")[0].create_dir("away")
    store = Store.at(f"s3://key:secret@away/library{query}")
    restarted = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)

    def interrupt():
        while len(store.sizes(".spool")) < 2:
            time.sleep(0.02)
        server.stop()
        time.sleep(5)
        restarted.start()

    outage = threading.Thread(target=interrupt)
    outage.start()
    build_library(small_config, store, simulate_slowly)
    outage.join()
    for part in published_parts(small_library.store):
        assert store.read(part.file).equals(small_library.store.read(part.file))
    assert check_library(store).faults == ()
    restarted.stop()


def descriptions(root):
    """Manifest, without the cost of the run, and statistics."""
    manifest = json.loads((root / "manifest.json").read_text())
    return manifest | {"cost": None}, (root / "statistics.json").read_text()


@pytest.mark.timeout(200)
def test_a_killed_build_resumes_and_ends_with_the_same_bytes(
    ray_cluster, small_preset, without_ray, tmp_path
):
    """The job and its local cluster are killed; a second build resumes in this process."""
    settings = (
        "library.cases=120",
        "library.cases_per_part=2",
        # Fast cases: the plain scheme needs no calibration for each D.
        "library.solver.scheme=plain",
        "library.tissue.remodelled_diffusivity_mm2_per_ms=[0.05, 0.09]",
        f"results.path={tmp_path}",
    )
    words = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, str(JOBS / "build_library.py"), str(small_preset), *words]
    root = tmp_path / "library"
    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 90
    while len(list((root / "cases").glob("*.parquet"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    survived = part_bytes(root)
    assert 5 <= len(survived) < 60
    assert not (root / "manifest.json").exists()

    config = load(Experiment, small_preset, settings).library
    build_library(config, root)
    without_ray(config, tmp_path / "uninterrupted")
    assert part_bytes(root) == part_bytes(tmp_path / "uninterrupted")
    assert survived.items() <= part_bytes(root).items()
    assert descriptions(root) == descriptions(tmp_path / "uninterrupted")
