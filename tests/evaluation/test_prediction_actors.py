"""A library predicted by the actors of a cluster, as by this process."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from fwdecg.errors import CheckpointError, LibraryError
from fwdecg.evaluation.prediction_actors import forecast_on_cluster
from fwdecg.evaluation.predictions import predict_library
from fwdecg.library.reader import Library
from fwdecg.runtime.storage import Store
from fwdecg.training.trained_surrogate import TrainedSurrogate

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(300),  # on a machine that may be busy
    pytest.mark.usefixtures("ray_cluster"),
]


@pytest.mark.parametrize("count", [1, 3])
def test_actors_write_what_this_process_writes(
    library: Library, members: list[TrainedSurrogate], tmp_path: Path, count: int
) -> None:
    here, there = tmp_path / "here.parquet", tmp_path / "there.parquet"
    predict_library(library, members[:count], here, batch_size=3)
    written = predict_library(
        library, members[:count], there, batch_size=3, forecaster=forecast_on_cluster
    )
    assert written.cases == 10
    own, theirs = pq.read_table(here), pq.read_table(there)
    assert theirs.schema.equals(own.schema, check_metadata=True)
    for name in ("case_id", "condition", "split"):
        assert theirs[name].to_pylist() == own[name].to_pylist()
    for name in own.column_names[3:]:
        expected, found = (
            table[name].combine_chunks().to_numpy_ndarray() for table in (own, theirs)
        )
        # Batches of other cases: sums of float32 in another order.
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_an_actors_complaint_is_ours(
    library: Library, trained: TrainedSurrogate, tmp_path: Path
) -> None:
    state = {name: value * torch.nan for name, value in trained.state.items()}
    path = tmp_path / "ecg.parquet"
    with pytest.raises(CheckpointError, match="not finite") as caught:
        predict_library(
            library,
            [replace(trained, state=state)],
            path,
            batch_size=8,
            forecaster=forecast_on_cluster,
        )
    assert "\n" not in str(caught.value)
    assert not path.exists()


def no_parquet(part: Path) -> None:
    part.write_bytes(b"no Parquet")


def spoilt_pages(part: Path) -> None:
    """Zeros where the cases were, under a footer that reads well."""
    content = bytearray(part.read_bytes())
    metadata = pq.read_metadata(part)
    end = len(content) - metadata.serialized_size - 8
    content[4:end] = bytes(end - 4)
    part.write_bytes(content)


@pytest.mark.parametrize("damage", [no_parquet, spoilt_pages])
def test_a_part_that_cannot_be_read(
    library: Library, trained: TrainedSurrogate, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    damaged = replace(library, store=Store.at(tmp_path / "library"))
    shutil.copytree(library.store.folder, tmp_path / "library")
    part = sorted((tmp_path / "library/cases").iterdir())[1]
    damage(part)
    with pytest.raises(LibraryError, match=str(part)) as caught:
        predict_library(
            damaged,
            [trained],
            tmp_path / "ecg.parquet",
            batch_size=8,
            forecaster=forecast_on_cluster,
        )
    assert "\n" not in str(caught.value)
