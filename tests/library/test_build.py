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
from fwdecg.errors import LibraryError, ResultError
from fwdecg.library.build import build_library
from fwdecg.library.build_plan import plan_parts
from fwdecg.library.check.verify import check_library
from fwdecg.library.dataset import split_dataset
from fwdecg.library.part import build_part
from fwdecg.library.paths import Part, published_parts
from fwdecg.library.reader import open_library
from fwdecg.runtime.storage import Store

# Workers cannot import the tests; what is defined here travels to them whole.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

JOBS = Path(__file__).parents[2] / "jobs"


def part_bytes(root):
    return {path.name: path.read_bytes() for path in sorted((root / "cases").iterdir())}


@pytest.fixture(scope="module")
def root(ray_cluster, small_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "library"
    build_library(small_config, folder)
    return folder


@pytest.mark.ray
class TestWithRay:
    def test_two_workers_leave_the_bytes_of_one(self, root, small_config, tmp_path):
        for part in plan_parts(small_config, []):
            build_part(small_config, Store.at(tmp_path), part)
        assert part_bytes(root) == part_bytes(tmp_path)

    def test_the_manifest_tells_what_is_there(self, root, small_config):
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

    def test_a_larger_number_extends(self, root, small_config):
        before = part_bytes(root)
        manifest = build_library(replace(small_config, cases=12), root)
        after = part_bytes(root)
        assert manifest["counts"]["ok"]["all"]["all"] == 12
        assert {name: after[name] for name in before} == before
        assert [part.first for part in published_parts(Store.at(root))] == [0, 4, 8, 10]

    def test_another_configuration_is_refused_by_name(self, root, small_config):
        with pytest.raises(ResultError, match=r"another library.seed; choose another path"):
            build_library(replace(small_config, seed=1), root)

    def test_a_damaged_part_is_named_and_a_missing_one_made_again(
        self, root, small_config, tmp_path
    ):
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

    def test_a_library_of_failures_alone_is_an_error_each_time(
        self, ray_cluster, small_config, tmp_path
    ):
        recording = replace(small_config.recording, duration_ms=10.0, least_activated_fraction=1.0)
        config = replace(small_config, cases=2, recording=recording)
        for _ in range(2):
            with pytest.raises(LibraryError, match="every case is quarantined; see the reasons"):
                build_library(config, tmp_path / "library")

    def test_a_foreign_folder_is_refused(self, ray_cluster, small_config, tmp_path):
        (tmp_path / "thesis.tex").write_text("do not touch")
        with pytest.raises(ResultError, match="is not empty"):
            build_library(small_config, tmp_path)

    def test_a_split_as_a_ray_dataset(self, root):
        library = open_library(root)
        rows = split_dataset(library, "train", ["case_id", "u"]).take_all()
        expected = library.table("train", ["case_id"])["case_id"].to_pylist()
        assert sorted(row["case_id"] for row in rows) == expected
        assert rows[0]["u"].shape == (8, 8, 8)
        assert set(rows[0]) == {"case_id", "u"}


@pytest.fixture(scope="module")
def stored(ray_cluster, small_config, bucket):
    store = Store.at(bucket("library"))
    build_library(replace(small_config, cases=6), store.root)
    build_library(small_config, store.root)  # extends it
    return store


@pytest.mark.ray
class TestInAnObjectStore:
    """The same library behind a server that speaks the S3 protocol."""

    def test_its_parts_have_the_bytes_of_a_folder(self, stored, small_config, tmp_path):
        folder = Store.at(tmp_path)
        for part in (Part(0, 4), Part(4, 6), Part(6, 8), Part(8, 10)):
            build_part(small_config, folder, part)
            assert stored.read(part.file).equals(folder.read(part.file))

    def test_it_is_sound_and_nothing_is_left_over(self, stored):
        assert check_library(stored).faults == ()
        assert stored.sizes(".spool") == {}
        assert not stored.exists(".staging")

    def test_it_is_read_by_split_and_as_a_ray_dataset(self, stored):
        library = open_library(stored)
        expected = library.table("train", ["case_id"])["case_id"].to_pylist()
        rows = split_dataset(library, "train", ["case_id"]).take_all()
        assert sorted(row["case_id"] for row in rows) == expected

    def test_keys_in_its_uri_are_not_shown(self, stored, small_config):
        with pytest.raises(ResultError) as refusal:
            build_library(replace(small_config, seed=1), stored)
        assert "secret" not in str(refusal.value)
        assert "s3://lab/library was made with another library.seed" in str(refusal.value)


def simulate_without_haste(case, config):
    time.sleep(0.3)
    return simulate_case(case, config)


@pytest.mark.ray
@pytest.mark.slow
def test_a_store_that_is_away_for_a_while(ray_cluster, small_config, tmp_path):
    """Its server is stopped in the middle of a build, and comes back."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    query = f"?endpoint_override=http://{host}:{port}&region=us-east-1&allow_bucket_creation=true"
    fs.FileSystem.from_uri(f"s3://key:secret@away{query}")[0].create_dir("away")
    store = Store.at(f"s3://key:secret@away/library{query}")
    again = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)

    def interrupt():
        while len(store.sizes(".spool")) < 2:
            time.sleep(0.02)
        server.stop()
        time.sleep(5)
        again.start()

    outage = threading.Thread(target=interrupt)
    outage.start()
    build_library(small_config, store, simulate_without_haste)
    outage.join()
    folder = Store.at(tmp_path)
    for part in plan_parts(small_config, []):
        build_part(small_config, folder, part)
        assert store.read(part.file).equals(folder.read(part.file))
    assert check_library(store).faults == ()
    again.stop()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_killed_build_resumes_and_ends_with_the_same_bytes(brief_preset, tmp_path):
    def command(folder):
        job = [sys.executable, str(JOBS / "build_library.py"), str(brief_preset)]
        keys = ("library.cases=60", "library.cases_per_part=1", f"results.path={tmp_path / folder}")
        return [*job, *(word for key in keys for word in ("--set", key))]

    killed, cases = tmp_path / "killed/library", tmp_path / "killed/library/cases"
    process = subprocess.Popen(command("killed"), start_new_session=True)
    deadline = time.monotonic() + 90
    while len(list(cases.glob("*.parquet"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    survived = part_bytes(killed)
    assert 5 <= len(survived) < 60
    assert not (killed / "manifest.json").exists()
    for folder in ("killed", "whole"):
        subprocess.run(command(folder), check=True, timeout=120)
    assert part_bytes(killed) == part_bytes(tmp_path / "whole/library")
    assert survived.items() <= part_bytes(killed).items()
    manifests = [
        json.loads((tmp_path / folder / "library/manifest.json").read_text())
        for folder in ("killed", "whole")
    ]
    for manifest in manifests:
        manifest.pop("cost")
    assert manifests[0] == manifests[1]
    statistics = "library/statistics.json"
    killed_text = (tmp_path / "killed" / statistics).read_text()
    assert killed_text == (tmp_path / "whole" / statistics).read_text()
