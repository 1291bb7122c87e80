"""A tiny library, simulated by the real code, and surrogates that fit it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fwdecg.cost import Cost
from fwdecg.evaluation.cases import LabelledCases, stream_cases
from fwdecg.library.config import LibraryConfig, RecordingConfig, TissueConfig
from fwdecg.library.layout import Part
from fwdecg.library.manifest import publish_descriptions
from fwdecg.library.part import build_part
from fwdecg.library.reader import Library, open_library
from fwdecg.library.solver_config import SolverConfig
from fwdecg.model import SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.storage import Store
from fwdecg.training.checkpoint import TrainedSurrogate
from fwdecg.training.epoch import Validation
from fwdecg.training.signature import Signature

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
    return _built(CONFIG, tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="session")
def varied_library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Three such cases, with D that varies inside each tissue."""
    tissue = replace(CONFIG.tissue, diffusivity_variation=0.3, diffusivity_variation_length_mm=3.0)
    return _built(replace(CONFIG, cases=3, tissue=tissue), tmp_path_factory.mktemp("varied"))


def _built(config: LibraryConfig, root: Path) -> Library:
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
