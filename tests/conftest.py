"""Fixtures for all tests: small libraries, small presets, stores, and one shared Ray cluster.

Every annotation of the package is checked at run time by jaxtyping and beartype.
"""

import logging
import os
import subprocess
import sys

from jaxtyping import install_import_hook

# Accept an int where a float is annotated, as static type checkers do.
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
install_import_hook("fwdecg", CHECKER)

os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  # as in the local clusters of the jobs
os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = "0.3"  # the tests' epochs are short

from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
import torch
from pyarrow import fs

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.cases.simulation import simulate_case
from fwdecg.cases.solver_config import SolverConfig
from fwdecg.cases.splits import SHIFTS
from fwdecg.cases.tissue_config import TissueConfig
from fwdecg.library.build_plan import plan_parts
from fwdecg.library.labelled_cases import LabelledCases, stream_labelled_cases
from fwdecg.library.manifest import publish_descriptions
from fwdecg.library.part import publish_part
from fwdecg.library.paths import QUARANTINE_FOLDER, stored_case_ids
from fwdecg.library.pending_cases import SimulateCase, simulate_or_quarantine
from fwdecg.library.reader import Library, open_library
from fwdecg.maps.recording_format import RecordingFormat
from fwdecg.model import SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.model.surrogate import build_surrogate
from fwdecg.runtime.cost import Cost
from fwdecg.runtime.storage import Store
from fwdecg.training.epoch import Validation
from fwdecg.training.trained_surrogate import TrainedSurrogate
from fwdecg.training.training_spec import ModelSignature

torch.set_num_threads(1)

# A deadline for single examples fails by chance on a busy machine.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")


def pytest_xdist_make_scheduler(config, log):
    """Run the tests of a file in one process, and all tests of tests/cluster on one cluster."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            path = nodeid.split("::")[0]
            return "tests/cluster" if path.startswith("tests/cluster/") else path

    return ByFile(config, log)


# The solver's cells are the pixels of the maps, so that Eq. 1 follows exactly from the maps.
PIXEL_CONFIG = LibraryConfig(
    cases=10,
    cases_per_part=4,
    tissue=TissueConfig(
        size_mm=8.0,
        remodelled_diffusivity_mm2_per_ms=(0.06, 0.09),
        large_patch_size_mm=(2.0, 3.0),
    ),
    solver=SolverConfig(spacing_mm=0.5, dt_ms=0.06),
    recording=RecordingConfig(
        duration_ms=60.0,
        frame_interval_ms=3.0,
        map_pixels=16,
        electrodes_mm=((4.0, 4.0, 3.0), (-2.0, 6.0, 1.0)),
    ),
)
TINY_MODEL = SurrogateConfig(
    hidden_size=8, channels=(2, 3), pooled_size=2, time_embedding_size=4, readout_size=4
)


@pytest.fixture(autouse=True)
def _default_logging():
    """Undo what a job has done to the log of the package in this process."""
    yield
    log = logging.getLogger("fwdecg")
    log.handlers, log.propagate = [], True
    log.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def small_config() -> LibraryConfig:
    """Configuration of a library whose cases take milliseconds: 8 mm, 40 ms, coarse cells."""
    return LibraryConfig(
        cases=10,
        cases_per_part=4,
        tissue=TissueConfig(
            size_mm=8.0, large_patch_size_mm=(1.0, 2.0), small_patch_size_mm=(0.3, 0.6)
        ),
        solver=SolverConfig(spacing_mm=0.25, dt_ms=0.05),
        recording=RecordingConfig(
            duration_ms=40.0,
            map_pixels=8,
            electrodes_mm=((4.0, 4.0, 5.0), (0.0, 0.0, 3.0)),
            least_activated_fraction=0.1,
        ),
    )


@pytest.fixture(scope="session")
def small_library(small_config, tmp_path_factory) -> Library:
    """That library, built without Ray. Tests must not change it."""
    return build_without_ray(small_config, tmp_path_factory.mktemp("small") / "library")


def build_without_ray(
    config: LibraryConfig, root: Path, simulate: SimulateCase = simulate_case
) -> Library:
    """Build a library in this process and open it."""
    store = Store.at(root)
    for case_id in range(config.cases):
        simulate_or_quarantine(config, store, case_id, simulate)
    failed = stored_case_ids(store, QUARANTINE_FOLDER)
    records = [publish_part(config, store, part, failed) for part in plan_parts(config, [])]
    publish_descriptions(config, store, records, cost=Cost())
    return open_library(store)


@pytest.fixture(scope="session")
def without_ray():
    """The function that builds a library in this process."""
    return build_without_ray


@pytest.fixture(scope="session")
def regular_and_shifted_library(small_config, tmp_path_factory) -> tuple[Library, Library]:
    """A block of 50 such cases, and the same block followed by five cases of each shift."""
    regular = replace(
        small_config,
        cases=50,
        cases_per_part=10,
        tissue=replace(
            small_config.tissue,
            remodelled_diffusivity_mm2_per_ms=(0.05, 0.09),
            shifted_patch_size_mm=(2.5, 3.0),
        ),
        solver=replace(
            small_config.solver, scheme="plain"
        ),  # skips the velocity correction of each D
        recording=replace(small_config.recording, electrode_shift_mm=(1.0, -1.0, 0.5)),
    )
    shifted = replace(regular, cases=70, shifts=SHIFTS)
    folder = tmp_path_factory.mktemp("shifts")
    return (
        build_without_ray(regular, folder / "regular"),
        build_without_ray(shifted, folder / "shifted"),
    )


@pytest.fixture
def small_preset(tmp_path):
    """A preset file with such a library and a small network, for jobs that run as processes."""
    path = tmp_path / "preset.toml"
    path.write_text("""
[library]
cases = 20
cases_per_part = 5
[library.tissue]
size_mm = 8.0
large_patch_size_mm = [1.0, 2.0]
[library.solver]
spacing_mm = 0.25
dt_ms = 0.05
[library.recording]
duration_ms = 40.0
map_pixels = 8
electrodes_mm = [[4.0, 4.0, 5.0]]
least_activated_fraction = 0.1
[model]
hidden_size = 8
channels = [2, 4]
[training]
epochs = 15
mirror = true
workers = 2
precision = "float32"
""")
    return path


@pytest.fixture
def brief_preset(tmp_path):
    """A preset file whose cases choose their own resolution and take up to a second."""
    path = tmp_path / "brief.toml"
    path.write_text("""
[library.tissue]
size_mm = 25.0
[library.recording]
duration_ms = 60.0
map_pixels = 8
electrodes_mm = [[12.5, 12.5, 10.0]]
least_activated_fraction = 0.0
""")
    return path


@pytest.fixture(scope="session")
def run_python():
    """A function that runs Python as a new process, checks its exit code and returns the result."""

    def run(*arguments, code=0, **changed):
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])} | changed
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def ray_cluster():
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=80 * 2**20,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def ray_address(ray_cluster):
    """The address of that cluster, for jobs that run as processes."""
    import ray

    return ray.get_runtime_context().gcs_address


@pytest.fixture(scope="session")
def s3_server():
    """An S3 server on the loopback interface."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def bucket(s3_server):
    """A function that returns the URI of a prefix in a bucket on that server."""
    host, port = s3_server.get_host_and_port()
    query = f"?endpoint_override=http://{host}:{port}&region=us-east-1&allow_bucket_creation=true"
    fs.FileSystem.from_uri(f"s3://key:secret@lab{query}")[0].create_dir("lab")
    return lambda prefix: f"s3://key:secret@lab/{prefix}{query}"


@pytest.fixture(params=["folder", "s3", "fsspec"])
def store(request, tmp_path):
    """An empty store of each kind."""
    if request.param == "folder":
        return Store.at(tmp_path / "place")
    if request.param == "s3":
        return Store.at(request.getfixturevalue("bucket")(tmp_path.name))
    return Store.at(f"memory://{tmp_path.name}")


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Ten cases on 16 x 16 cells, 20 frames, two electrodes, in parts of four."""
    return build_without_ray(PIXEL_CONFIG, tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="session")
def varied_library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Three such cases in which D varies within each tissue."""
    tissue = replace(
        PIXEL_CONFIG.tissue, diffusivity_variation=0.3, diffusivity_variation_length_mm=3.0
    )
    return build_without_ray(
        replace(PIXEL_CONFIG, cases=3, tissue=tissue), tmp_path_factory.mktemp("varied")
    )


@pytest.fixture(scope="session")
def cases(library: Library) -> LabelledCases:
    """All cases of the library."""
    (batch,) = stream_labelled_cases(library)
    return batch


@pytest.fixture(scope="session")
def trained(library: Library) -> TrainedSurrogate:
    """A surrogate with random weights that fits the library."""
    return _random_surrogate(library, seed=0)


@pytest.fixture(scope="session")
def members(library: Library) -> list[TrainedSurrogate]:
    """Three such surrogates with different weights."""
    return [_random_surrogate(library, seed=seed) for seed in range(3)]


def _random_surrogate(library: Library, seed: int) -> TrainedSurrogate:
    torch.manual_seed(seed)
    statistics = library.statistics
    standardisation = Standardisation(
        u_mean=statistics.u_mean,
        u_spread=statistics.u_spread,
        phi_e_mean=statistics.phi_e_mean,
        phi_e_spread=statistics.phi_e_spread,
    )
    surrogate = build_surrogate(TINY_MODEL, electrodes=2, standardisation=standardisation)
    return TrainedSurrogate(
        state=surrogate.state_dict(),
        config=TINY_MODEL,
        standardisation=standardisation,
        signature=ModelSignature(
            **vars(RecordingFormat.of(library.config)),
            library_hash=library.config_hash,
            training_hash="0123456789ab",
        ),
        validation=Validation(loss=0.3, r2=0.5, mae=0.4),
        epoch=3,
    )
