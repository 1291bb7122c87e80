"""Text and picture of an ablation study."""

import numpy as np
import pyarrow as pa
import pytest

from fwdecg.ablation.ablation_report import ablation_text, plot_comparisons
from fwdecg.ablation.comparison import Comparison, compare_variants

CONDITIONS = ("healthy", "gap_junction", "fibrosis", "combined", "fibrosis")


def compare(cases: int, shift: float = -0.3) -> list[Comparison]:
    """Compare a variant whose R^2 changes by about `shift` in every case, and a neutral one."""
    rng = np.random.default_rng(0)
    full = 0.9 + 0.05 * rng.random((2, cases))
    values = {
        "full": full,
        "mean voltage": full + shift * (1 + 0.1 * rng.random(cases)),
        "no time embedding": full + 1e-3 * rng.normal(size=(2, cases)),
    }
    runs = [
        pa.table(
            {
                "case_id": range(cases),
                "condition": (CONDITIONS * cases)[:cases],
                "predictor": [name] * cases,
                "r2": each,
                "mae": 1 - each,
            }
        )
        for name, r2 in values.items()
        for each in r2
    ]
    return [compare_variants(runs, metric) for metric in ("r2", "mae")]


@pytest.mark.parametrize("shift", [-0.3, -25.0])
def test_the_tables(shift):
    text = ablation_text(compare(60, shift), (0, 1))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert "Cases: 12 healthy, 12 gap_junction, 24 fibrosis, 12 combined, 60 all." in lines
    # 12 equal signs: p = 2^-11, doubled by the correction.
    healthy, _ = (line for line in lines if line.startswith("mean voltage, healthy"))  # R2, MAE
    assert healthy.split()[-4:] == ["-1.00", "0.00049", "0.00098", "***"]
    table = text.split("\n\n")[1].splitlines()
    assert table[0].split() == ["R2", "healthy", "gap_junction", "fibrosis", "combined", "all"]
    assert table[2].split()[0:2] == ["mean", "voltage"]
    assert table[2].count("***") == 5
    assert table[3].count("*") == 0
    assert "Too few" not in text


def test_groups_with_too_few_cases_are_named():
    comparisons = compare(20)
    text = " ".join(ablation_text(comparisons, (0, 1)).split())
    # With two variants, 4 cases have p of at least 0.125, 8 cases of 0.0078.
    assert "Too few cases for any significance: 4 healthy, 4 gap_junction, 4 combined." in text


@pytest.mark.parametrize("cases", [5, 20])  # 5: a single case in most groups, without an interval
def test_the_picture_shows_means_and_stars(cases):
    comparisons = compare(cases)
    r2, _ = plot_comparisons(comparisons).axes
    names = [text.get_text() for text in r2.figure.legends[0].get_texts()]
    assert names == ["full", "mean voltage", "no time embedding"]
    worse = comparisons[0].summaries["mean voltage"]["all"]
    shown = r2.texts[9].get_text().split()  # five groups for each variant; "all" is the last
    assert shown == [f"{worse.mean:.3f}", *(["***"] if cases == 20 else [])]
