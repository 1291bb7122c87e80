"""A whole assessment of an ensemble, its files, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fwdecg.errors import ConfigError, ResultError
from fwdecg.evaluation.calibration import fit_factor
from fwdecg.evaluation.ensemble import Ensemble
from fwdecg.evaluation.scores import z_scored
from fwdecg.evaluation.uncertainty import Residuals, assess_uncertainty
from fwdecg.library.labelled_cases import stream_labelled_cases
from fwdecg.library.reader import Library
from fwdecg.training.trained_surrogate import TrainedSurrogate


@pytest.fixture(scope="module")
def folder(
    library: Library, members: list[TrainedSurrogate], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    root = tmp_path_factory.mktemp("results") / "ensemble"
    assess_uncertainty(library, members, root, batch_size=4)
    return root


def test_its_files(folder: Path, library: Library) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "cases.parquet", "report.txt", "metrics.json"}
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["library_hash"] == library.config_hash
    assert list(metrics["splits"]) == ["test"]
    overall = metrics["splits"]["test"]["all"]
    rows = pq.read_table(folder / "cases.parquet").to_pandas()
    assert overall["cases"] == len(rows) == library.count("test")
    assert overall["r2"] == pytest.approx(rows["r2"].mean())
    assert overall["rmse"] == pytest.approx(np.sqrt((rows["rmse"] ** 2).mean()))
    assert overall["sigma"] == pytest.approx(np.sqrt((rows["sigma"] ** 2).mean()))
    assert overall["coverage"][1] == pytest.approx(rows["within_2_sigma"].mean())
    text = (folder / "report.txt").read_text()
    assert "within 2 sigma (95.4%)" in text
    assert f"spread times {metrics['factor']:.3g}," in text


def test_the_factor_is_fitted_on_the_validation_split(
    folder: Path, library: Library, members: list[TrainedSurrogate]
) -> None:
    (cases,) = stream_labelled_cases(library, "validation")
    forecast = Ensemble.of(members, 4).predict(cases.u)
    truth, mean = (z_scored(ecg, library.statistics) for ecg in (cases.phi_e, forecast.phi_e))
    assert forecast.spread is not None
    spread = forecast.spread / np.array(library.statistics.phi_e_spread)[:, None]
    expected = fit_factor(mean - truth, spread)
    found = json.loads((folder / "metrics.json").read_text())["factor"]
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_mean_is_better_than_its_members(
    library: Library, members: list[TrainedSurrogate]
) -> None:
    """Jensen: the squared error of a mean is at most the mean of the squared errors."""
    (cases,) = stream_labelled_cases(library)
    residuals = Residuals.of(Ensemble.of(members, 4), cases, library.statistics)
    assert (residuals.r2 >= residuals.member_r2 - 1e-9).all()


def test_it_is_not_repeated_and_the_order_does_not_matter(
    folder: Path, library: Library, members: list[TrainedSurrogate]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    again = assess_uncertainty(library, members[::-1], folder, batch_size=1)
    assert again == json.loads((folder / "metrics.json").read_text())
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_other_members_need_another_folder(
    folder: Path, library: Library, members: list[TrainedSurrogate]
) -> None:
    with pytest.raises(ResultError, match="made with another members"):
        assess_uncertainty(library, members[:2], folder, batch_size=4)


def test_a_single_member_has_no_spread(
    library: Library, trained: TrainedSurrogate, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="give at least two"):
        assess_uncertainty(library, [trained], tmp_path / "new", batch_size=4)
    assert not (tmp_path / "new").exists()
