"""Errors over tissue parameters: every case at its own D and patches, whatever the order."""

import numpy as np
import pytest

from fwdecg.evaluation.scores import CaseScore
from fwdecg.library.reader import Library
from fwdecg.pictures.error_picture import plot_errors
from fwdecg.pictures.parameter_histograms import COLUMNS


def score(case_id: int, condition: str, r2: float) -> CaseScore:
    return CaseScore(
        case_id=case_id,
        condition=condition,
        split="test",
        predictor="network",
        r2=r2,
        mae=0.01 * (case_id + 1),
        rmse=0.1,
        spectral_entropy_error=0.1,
    )


@pytest.fixture
def picture(library: Library):
    scores = [
        score(3, "combined", -1.0),
        score(0, "healthy", 0.9),
        score(2, "fibrosis", 1.0),
        score(4, "fibrosis", 0.99),
    ]
    return plot_errors(scores, library.table("all", COLUMNS))


def points(panel):
    return {line.get_label(): line.get_xydata() for line in panel.lines}


def test_each_case_at_its_own_place(picture, library: Library) -> None:
    table = library.table("all", ["case_id", "bulk_diffusivity_mm2_per_ms", "patch_fraction"])
    rows = {row["case_id"]: row for row in table.to_pylist()}
    over_d, _, over_fraction, mae_over_d, *_ = picture.axes
    found = points(over_d)
    assert set(found) == {"healthy, 1", "fibrosis, 2", "combined, 1"}
    (x, y) = found["combined, 1"][0]
    assert (x, y) == pytest.approx((rows[3]["bulk_diffusivity_mm2_per_ms"], 2.0))
    np.testing.assert_allclose(found["fibrosis, 2"][:, 1], [1e-6, 0.01], rtol=1e-6)
    np.testing.assert_allclose(
        points(over_fraction)["fibrosis, 2"][:, 0],
        [100 * rows[case_id]["patch_fraction"] for case_id in (2, 4)],
    )
    np.testing.assert_allclose(points(mae_over_d)["fibrosis, 2"][:, 1], [0.03, 0.05])


def test_its_labels_have_units(picture) -> None:
    labels = [panel.get_xlabel() for panel in picture.axes[-3:]]
    assert labels[0] == "D (mm$^2$/ms)"
    assert labels[1].endswith("(mm)")
    assert labels[2].endswith("(%)")
    assert picture.axes[0].get_yscale() == "log"


def test_a_single_case(library: Library) -> None:
    picture = plot_errors([score(0, "healthy", 0.5)], library.table("all", COLUMNS))
    assert [panel.get_xlabel() for panel in picture.axes] == ["", "D (mm$^2$/ms)"]
