"""Run-time checks of all annotations, and one small Ray cluster for the tests that need one."""

import os

from jaxtyping import install_import_hook

# An int may stand where a float is asked for, as it may for every static checker.
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
install_import_hook("fwdecg", CHECKER)

os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = "0.3"  # short epochs, short waits

from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
import torch
from pyarrow import fs

from fwdecg.cases.library_config import LibraryConfig, RecordingConfig, TissueConfig
from fwdecg.cases.shifts import SHIFTS
from fwdecg.cases.solver_config import SolverConfig
from fwdecg.library.labelled_cases import LabelledCases, stream_cases
from fwdecg.library.manifest import publish_descriptions
from fwdecg.library.part import build_part
from fwdecg.library.part_plan import plan_parts
from fwdecg.library.paths import Part
from fwdecg.library.reader import Library, open_library
from fwdecg.model import SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.runtime.cost import Cost
from fwdecg.runtime.storage import Store
from fwdecg.training.checkpoint import TrainedSurrogate
from fwdecg.training.epoch import Validation
from fwdecg.training.signature import Signature

torch.set_num_threads(1)

# Time limits on single examples fail by chance on a busy machine.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")


@pytest.fixture(scope="session")
def small_config() -> LibraryConfig:
    """A library whose cases take milliseconds: 8 mm of tissue, 40 ms, coarse cells."""
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
    """That library, built without Ray; not to be changed."""
    return build_without_ray(small_config, tmp_path_factory.mktemp("small") / "library")


def build_without_ray(config: LibraryConfig, root: Path) -> Library:
    store = Store.at(root)
    records = [build_part(config, store, part) for part in plan_parts(config, [])]
    publish_descriptions(config, store, records, cost=Cost())
    return open_library(store)


@pytest.fixture(scope="session")
def without_ray():
    """The function that builds the library of a configuration in this process."""
    return build_without_ray


@pytest.fixture(scope="session")
def regular_and_shifted_library(small_config, tmp_path_factory) -> tuple[Library, Library]:
    """A block of such cases, and the same with five of each shift beside them."""
    regular = replace(
        small_config,
        cases=50,
        cases_per_part=10,
        tissue=replace(
            small_config.tissue,
            remodelled_diffusivity_mm2_per_ms=(0.05, 0.09),
            shifted_patch_size_mm=(2.5, 3.0),
        ),
        solver=replace(small_config.solver, scheme="plain"),  # without calibration of each D
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
    """Such a library and a small network as a TOML file, for jobs in processes of their own."""
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
    """Cases of a second or less on cells of their own choice, as a TOML file."""
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
def s3_server():
    """A server that speaks the S3 protocol, on loopback, with one bucket."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def bucket(s3_server):
    """A function that gives the URI of a prefix in a bucket of that server."""
    host, port = s3_server.get_host_and_port()
    query = f"?endpoint_override=http://{host}:{port}&region=us-east-1&allow_bucket_creation=true"
    fs.FileSystem.from_uri(f"s3://key:secret@lab{query}")[0].create_dir("lab")
    return lambda prefix: f"s3://key:secret@lab/{prefix}{query}"


@pytest.fixture(params=["folder", "s3", "fsspec"])
def store(request, tmp_path):
    """An empty place of each kind."""
    if request.param == "folder":
        return Store.at(tmp_path / "place")
    if request.param == "s3":
        return Store.at(request.getfixturevalue("bucket")(tmp_path.name))
    return Store.at(f"memory://{tmp_path.name}")


# The solver's cells are the pixels of the maps, so that Eq. 1 can be told from the maps exactly.
CONFIG = LibraryConfig(
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
TINY = SurrogateConfig(
    hidden_size=8, channels=(2, 3), pooled_size=2, time_embedding_size=4, readout_size=4
)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Ten cases on 16 x 16 cells, 20 frames, two electrodes, in parts of four."""
    return build_evaluated(CONFIG, tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="session")
def varied_library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Three such cases, with D that varies inside each tissue."""
    tissue = replace(CONFIG.tissue, diffusivity_variation=0.3, diffusivity_variation_length_mm=3.0)
    return build_evaluated(
        replace(CONFIG, cases=3, tissue=tissue), tmp_path_factory.mktemp("varied")
    )


def build_evaluated(config: LibraryConfig, root: Path) -> Library:
    store = Store.at(root)
    parts = [Part(first, min(first + 4, config.cases)) for first in range(0, config.cases, 4)]
    records = [build_part(config, store, part) for part in parts]
    publish_descriptions(config, store, records, cost=Cost())
    return open_library(store)


@pytest.fixture(scope="session")
def cases(library: Library) -> LabelledCases:
    """All cases of the library."""
    (batch,) = stream_cases(library)
    return batch


@pytest.fixture(scope="session")
def trained(library: Library) -> TrainedSurrogate:
    """A surrogate of random weights that fits the library."""
    return _untaught(library, seed=0)


@pytest.fixture(scope="session")
def members(library: Library) -> list[TrainedSurrogate]:
    """Three such surrogates of other weights each."""
    return [_untaught(library, seed=seed) for seed in range(3)]


def _untaught(library: Library, seed: int) -> TrainedSurrogate:
    torch.manual_seed(seed)
    statistics, recording = library.statistics, library.config.recording
    standardisation = Standardisation(
        u_mean=statistics.u_mean,
        u_spread=statistics.u_spread,
        phi_e_mean=statistics.phi_e_mean,
        phi_e_spread=statistics.phi_e_spread,
    )
    surrogate = TINY.build(electrodes=2, standardisation=standardisation)
    return TrainedSurrogate(
        state=surrogate.state_dict(),
        config=TINY,
        standardisation=standardisation,
        signature=Signature(
            frames=recording.frames,
            map_pixels=recording.map_pixels,
            electrodes_mm=recording.electrodes_mm,
            frame_interval_ms=recording.frame_interval_ms,
            library_hash=library.config_hash,
            training_hash="0123456789ab",
        ),
        validation=Validation(loss=0.3, r2=0.5, mae=0.4),
        epoch=3,
    )
