"""A complete assessment of an ensemble: its files, its reuse, and what it refuses."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from fwdecg.errors import ConfigError, ResultError
from fwdecg.evaluation.calibration import fit_factor
from fwdecg.evaluation.ensemble import Ensemble
from fwdecg.evaluation.scores import z_scored
from fwdecg.evaluation.uncertainty import Residuals, assess_uncertainty
from fwdecg.library.labelled_cases import stream_labelled_cases


@pytest.fixture(scope="module")
def folder(library, members, tmp_path_factory):
    root = tmp_path_factory.mktemp("results") / "ensemble"
    assess_uncertainty(library, members, root, batch_size=4)
    return root


def test_the_files_of_an_assessment(folder, library):
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
    assert f"times {metrics['factor']:.3g}, a factor" in text


def test_the_factor_is_fitted_on_the_validation_split(folder, library, members):
    (cases,) = stream_labelled_cases(library, "validation")
    forecast = Ensemble(members, 4).predict(cases.u)
    truth, mean = (z_scored(ecg, library.statistics) for ecg in (cases.phi_e, forecast.phi_e))
    assert forecast.phi_e_std is not None
    deviation = forecast.phi_e_std / np.array(library.statistics.phi_e_spread)[:, None]
    expected = fit_factor(mean - truth, deviation)
    found = json.loads((folder / "metrics.json").read_text())["factor"]
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_mean_is_at_least_as_good_as_its_members(library, members):
    """By Jensen's inequality a mean's squared error is at most the mean of the squared errors."""
    (cases,) = stream_labelled_cases(library)
    residuals = Residuals.compute(Ensemble(members, 4), cases, library.statistics)
    assert (residuals.r2 >= residuals.member_r2 - 1e-9).all()


def test_a_finished_assessment_is_reused_for_any_order_of_members(folder, library, members):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    again = assess_uncertainty(library, members[::-1], folder, batch_size=1)
    assert again == json.loads((folder / "metrics.json").read_text())
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_the_folder_of_other_members_is_refused(folder, library, members):
    with pytest.raises(ResultError, match="made with another members"):
        assess_uncertainty(library, members[:2], folder, batch_size=4)


def test_a_single_member_is_refused(library, trained, tmp_path):
    with pytest.raises(ConfigError, match="give at least two"):
        assess_uncertainty(library, [trained], tmp_path / "new", batch_size=4)
    assert not (tmp_path / "new").exists()
